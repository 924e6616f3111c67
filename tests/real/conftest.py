# SPDX-License-Identifier: Apache-2.0
"""The published files, once as agents' stores and once as plain tables."""

from pathlib import Path

import pytest

from tests.real.agencies import (
    CTDC_SHARES,
    NOW,
    Agencies,
    Pooled,
    nrm_files,
    split_ctdc,
)
from tests.real.agreements import MODEL_FILE, NAMES, agreement_text, mapping_file
from tests.real.published import ctdc_source, nrm_persons, nrm_source
from tests.real.questions import MEANS_BY_GENDER
from tests.real.reference import ModelOrder, Source

CTDC = "ctdc_global_synthetic_20210825.csv.gz"
NRM = "uk_nrm_leaf_2022Q2_2023Q4.csv"


@pytest.fixture(scope="session")
def order() -> ModelOrder:
    return ModelOrder(MODEL_FILE)


@pytest.fixture(scope="session")
def ctdc_file(shared_data: Path) -> Path:
    return shared_data / CTDC


@pytest.fixture(scope="session")
def nrm_file(shared_data: Path) -> Path:
    return shared_data / NRM


@pytest.fixture(scope="session")
def ctdc_parts(
    ctdc_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Return the file of each of the five agencies."""
    return split_ctdc(ctdc_file, tmp_path_factory.mktemp("ctdc-files"))


@pytest.fixture(scope="session")
def nrm_parts(
    nrm_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Return the file of each of the eleven agencies."""
    return nrm_files(nrm_file, tmp_path_factory.mktemp("nrm-files"))


@pytest.fixture(scope="session")
def ctdc_untouched(
    ctdc_parts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Agencies:
    """Return the five agencies that the CTDC file was dealt out to, unasked."""
    parties = list(CTDC_SHARES)
    today = NOW.date()
    texts = [
        agreement_text(name, parties, today, groups=groups)
        for groups, name in NAMES.items()
    ]
    texts += [
        agreement_text(
            f"real-{accounting}",
            parties,
            today,
            groups=3,
            accounting=accounting,
            one_agency=False,
        )
        for accounting in ("zcdp", "pure")
    ]
    folder = tmp_path_factory.mktemp("ctdc")
    return Agencies(folder, "ctdc-2021", ctdc_parts, texts)


@pytest.fixture(scope="session")
def within_caps(ctdc_untouched: Agencies) -> dict[str, Pooled]:
    """Return what the agencies answer at an epsilon of 1, by accounting.

    They are asked first: the unsafe test mode uses their accounts up.
    """
    return {
        accounting: ctdc_untouched.ask(
            f"real-{accounting}", MEANS_BY_GENDER, epsilon=1, unsafe=False
        )
        for accounting in ("zcdp", "pure")
    }


@pytest.fixture(scope="session")
def ctdc(ctdc_untouched: Agencies, within_caps: dict[str, Pooled]) -> Agencies:
    """Return the five agencies, to be asked in the unsafe test mode."""
    assert len(within_caps) > 0
    return ctdc_untouched


@pytest.fixture(scope="session")
def ctdc_plain(ctdc_file: Path, order: ModelOrder) -> Source:
    """Return the CTDC file for plain group-bys."""
    return ctdc_source(ctdc_file, order)


@pytest.fixture(scope="session")
def nrm(
    nrm_parts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Agencies:
    """Return the first responders of the NRM: the ten largest, the rest as one."""
    today = NOW.date()
    texts = [
        agreement_text(name, list(nrm_parts), today, groups=groups)
        for groups, name in NAMES.items()
    ]
    return Agencies(tmp_path_factory.mktemp("nrm"), "uk-nrm", nrm_parts, texts)


@pytest.fixture(scope="session")
def nrm_plain(nrm_file: Path, order: ModelOrder) -> Source:
    """Return the persons of the NRM for plain group-bys."""
    return nrm_source(nrm_persons(nrm_file), order, mapping_file("uk-nrm"))
