# SPDX-License-Identifier: Apache-2.0
"""Hub and agent live together one minor version apart, and no further."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core._version import __version__
from accord.core.errors import PreconditionFailed
from accord.rpc.versions import DISTANCE, require_compatible

minors = st.integers(0, 500)


@given(minors, minors, st.integers(0, 99), st.integers(0, 99))
def test_one_minor_version_apart(agent: int, hub: int, patch: int, other: int) -> None:
    versions = f"2.{agent}.{patch}", f"2.{hub}.{other}"
    if abs(agent - hub) <= DISTANCE:
        require_compatible(*versions)
        return
    with pytest.raises(PreconditionFailed, match="has to upgrade") as caught:
        require_compatible(*versions)
    assert caught.value.reason == "AGENT_VERSION"
    older = "agent" if agent < hub else "hub"
    assert caught.value.sentence.endswith(f"upgrade the {older}.")


@pytest.mark.parametrize(
    "version", ["0.2", "0.2.0", "0.2.0rc1", "0.2.0.dev3", "0.2.0+local", "0.1.9"]
)
def test_forms_of_versions(version: str) -> None:
    require_compatible(version, "0.1.0")


@pytest.mark.parametrize(("agent", "hub"), [("1.0.0", "0.9.0"), ("0.9.0", "1.0.0")])
def test_another_major_version_is_another_protocol(agent: str, hub: str) -> None:
    with pytest.raises(PreconditionFailed):
        require_compatible(agent, hub)


@pytest.mark.parametrize("version", ["", "x", "1", "v0.1.0", "0.1x0", "-0.1.0"])
def test_no_version_at_all(version: str) -> None:
    with pytest.raises(PreconditionFailed, match="no version") as caught:
        require_compatible(version, "0.1.0")
    assert version in {"", "x", "1"} or version not in caught.value.sentence


def test_this_one_goes_with_itself() -> None:
    require_compatible(__version__)
