# SPDX-License-Identifier: Apache-2.0
"""What every test may ask for."""

import os
from pathlib import Path

import hypothesis
import pytest

# A shared or slow machine is no reason for a property to fail.
hypothesis.settings.register_profile("accord", deadline=None, print_blob=True)
hypothesis.settings.load_profile("accord")

ROOT = Path(__file__).resolve().parent.parent


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
