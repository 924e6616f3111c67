# SPDX-License-Identifier: Apache-2.0
"""Something around a part of the product, for as long as one history lasts."""

from __future__ import annotations

import contextlib
import importlib
import logging
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest
import structlog

Passed: TypeAlias = Any
"""Whatever the product gives to a part of itself, and gets from it."""


def around(
    patch: pytest.MonkeyPatch, place: str, wrap: Callable[[Passed], Passed]
) -> None:
    """Put what *wrap* makes of a part in its place.

    Args:
        patch: takes it back.
        place: module and name, or module, class and name.
        wrap: gets what is there.
    """
    module, _, name = place.rpartition(".")
    try:
        owner: Passed = importlib.import_module(module)
    except ModuleNotFoundError:
        module, _, kind = module.rpartition(".")
        owner = getattr(importlib.import_module(module), kind)
    patch.setattr(owner, name, wrap(getattr(owner, name)))


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Let programs log nothing."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
    )
    try:
        yield
    finally:
        structlog.configure(**before)
