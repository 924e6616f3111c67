# SPDX-License-Identifier: Apache-2.0
"""Questions that agreements schedule, asked by the hub itself."""

from accord.hub.bulletins.asking import Bulletins

__all__ = ["Bulletins"]
