# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.packaging.distributions import PACKAGES, ROOT, ROOTS, project


@pytest.mark.parametrize("root", ROOTS)
def test_no_root_hides_the_others(root: str) -> None:
    """One ``accord/__init__.py`` makes the packages of all other roots vanish."""
    assert (ROOT / root / "accord").is_dir()
    assert not (ROOT / root / "__init__.py").exists()
    assert not (ROOT / root / "accord" / "__init__.py").exists()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_that_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def test_policies_are_reached_through_the_namespace() -> None:
    """An installed program finds the samples where a checkout has them."""
    assert (ROOT / "core/accord/policies").resolve() == ROOT / "policies"


def test_readme_is_what_the_package_shows() -> None:
    assert (ROOT / "README.md").is_file()
    assert project(ROOT)["readme"] == "README.md"
