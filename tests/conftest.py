# SPDX-License-Identifier: Apache-2.0
"""What every test may ask for."""

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

# A shared or slow machine is no reason for a property to fail.
hypothesis.settings.register_profile("accord", deadline=None, print_blob=True)
# `make test`: what has to pass often; `make test-all` looks at all examples.
hypothesis.settings.register_profile(
    "quick", hypothesis.settings.get_profile("accord"), max_examples=20
)
hypothesis.settings.load_profile("accord")

ROOT = Path(__file__).resolve().parent.parent


IN_MEMORY = Path("/dev/shm")  # noqa: S108  # a file system, not a file of a known name
"""Where temporary files of tests lie if there is room: no test loses power."""

ROOM = 8 << 30
"""Bytes that must be free there."""


def pytest_configure() -> None:
    """Do not wait for the disk: every step of hub and agent asks it to be durable."""
    writable = IN_MEMORY.is_dir() and os.access(IN_MEMORY, os.W_OK)
    if writable and shutil.disk_usage(IN_MEMORY).free >= ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))


LONGEST = ("federation", "real")
"""Folders whose files take longest."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long files: no worker is left alone with one at the end."""
    items.sort(key=lambda item: item.path.parent.name not in LONGEST)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data, which is never copied into the project.

    It lies beside the checkout in ``shared/data``, or where $ACCORD_SHARED says.
    """
    named = os.environ.get("ACCORD_SHARED")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(
            "no real data here: put them in ../shared/data or name a folder "
            "in $ACCORD_SHARED"
        )
    return folder


@pytest.fixture(autouse=True)
def logging_left_as_it_was() -> Iterator[None]:
    """Undo what a command that ran in this process set up for all of it."""
    root = logging.getLogger()
    before, handlers, level = structlog.get_config(), list(root.handlers), root.level
    yield
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session", autouse=True)
def own_user_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What an analyst's program keeps for its user stays out of this user's home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACCORD_DATA", str(tmp_path_factory.mktemp("user")))
        yield
