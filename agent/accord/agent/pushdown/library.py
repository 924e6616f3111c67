# SPDX-License-Identifier: Apache-2.0
"""What is said where the library that writes statements is not installed."""

from __future__ import annotations

from accord.core.errors import ConfigurationError


def no_library() -> ConfigurationError:
    """Return the error; who keeps editions on this machine needs no such library."""
    return ConfigurationError(
        "PUSHDOWN_LIBRARY",
        "Editions are to lie in a database, and the library that writes statements for "
        "it is not installed: install `accord-agent` with the extra of that database, "
        "such as `accord-agent[postgresql]`.",
    )
