# SPDX-License-Identifier: Apache-2.0
"""Wheels, each built once."""

from __future__ import annotations

import pytest

from tests.packaging.distributions import ROOT, Wheel, build


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    """Return the wheel of everything."""
    return build(ROOT, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="session")
def slim(tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    """Return the wheel that agencies install."""
    return build(ROOT / "agent", tmp_path_factory.mktemp("slim"))
