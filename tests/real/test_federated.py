# SPDX-License-Identifier: Apache-2.0
"""Real processes, real mTLS: at an epsilon of 10,000 tables are the file's group-bys.

That epsilon is possible in the unsafe test mode alone. A record of these files is in
one agency, and the agreements say so, so the noise has a scale of at most 0.13 on
integers: an entry is off once in 1e13, and about 2e5 entries are looked at.
"""

import dataclasses
import datetime
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from accord.client import Estimate, Result
from tests.federation.network import Blueprint, Network
from tests.real.agreements import (
    DROP_CAP,
    MODEL_FILE,
    NAMES,
    ORGANISATION,
    PURPOSE,
    agreement_text,
    mapping_file,
)
from tests.real.questions import CTDC_QUESTIONS, NRM_QUESTIONS, Question
from tests.real.reference import Source, Table

pytestmark = pytest.mark.federation

EPSILON = 10_000

FEW = ("year", "means by type", "corridor USA to USA")
"""What is asked again of the other accounting and the other measure."""


def blueprint(
    parts: Mapping[str, Path], mapping: str, accountings: Sequence[str] = ("zcdp",)
) -> Blueprint:
    """Return a network of agencies that ingest *parts* with a shipped mapping."""
    today = datetime.datetime.now(datetime.UTC).date()
    parties = list(parts)
    agreements = {
        f"{name}-{accounting}": agreement_text(
            f"{name}-{accounting}",
            parties,
            today,
            groups=groups,
            accounting=accounting,
        )
        for groups, name in NAMES.items()
        for accounting in accountings
    }
    members = "".join(
        f"  {label}:\n"
        f"    name: {label}\n"
        f"    remit: {{description: part of a published file}}\n"
        "    lifetime: {zcdp: {epsilon: 10, delta: 1e-9}, pure: {epsilon: 10}}\n"
        for label in parties
    )
    return Blueprint(
        agreements=agreements,
        models={"cases-v1": MODEL_FILE.read_text(encoding="utf-8")},
        members=f"network: published-files\nmembers:\n{members}",
        mappings=dict.fromkeys(
            parties, mapping_file(mapping).read_text(encoding="utf-8")
        ),
        sources={label: [path] for label, path in parts.items()},
        analysts={"ana": (ORGANISATION, ("analyst",))},
        unsafe=True,
    )


@pytest.fixture(scope="module")
def ctdc_network(
    ctdc_parts: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Network]:
    folder = tmp_path_factory.mktemp("ctdc-network")
    with Network.build(
        folder, blueprint(ctdc_parts, "ctdc-2021", ("zcdp", "pure"))
    ) as network:
        yield network


@pytest.fixture(scope="module")
def nrm_network(
    nrm_parts: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Network]:
    folder = tmp_path_factory.mktemp("nrm-network")
    with Network.build(folder, blueprint(nrm_parts, "uk-nrm")) as network:
        yield network


def released(network: Network, agreement: str, question: Question) -> Result:
    """Ask as an analyst does."""
    with network.connect() as hub:
        asked = hub.agreement(agreement).measure(question.measure)
        asked = asked.by(*(f"{name}:{level}" for name, level in question.by))
        where = {name: list(values) for (name, _), values in question.where.items()}
        return asked.where(**where).release(
            epsilon=EPSILON, purpose=PURPOSE, timeout=60
        )


def counts(result: Result) -> Table:
    """Return what a release says, none of it suppressed."""

    def count(of: Estimate) -> int:
        assert of.estimate is not None
        assert of.estimate == int(of.estimate)
        assert of.lower == of.estimate == of.upper
        return int(of.estimate)

    cells = {row.values: count(row.estimate) for row in result.rows}
    assert len(cells) == len(result.rows)
    return Table(
        cells={values: number for values, number in cells.items() if number},
        persons=count(result.persons),
        dropped=count(result.dropped),
    )


def check_table(
    network: Network, plain: Source, question: Question, accounting: str, groups: int
) -> None:
    """Compare one released table with the file."""
    result = released(network, f"{NAMES[groups]}-{accounting}", question)
    expected = plain.table(
        question.by, question.where, groups=groups, drop_cap=DROP_CAP
    )
    assert counts(result) == expected
    assert set(result.coverage.answered) == set(network.agents)
    assert not result.coverage.missing
    assert result.groups_per_person == (groups if question.by else 1)
    assert any("UNSAFE TEST MODE" in each for each in result.not_covered)


@pytest.mark.slow
@pytest.mark.parametrize("groups", NAMES)
@pytest.mark.parametrize("name", CTDC_QUESTIONS)
def test_pooled_tables_of_ctdc_are_exact(
    name: str, groups: int, ctdc_network: Network, ctdc_plain: Source
) -> None:
    question = CTDC_QUESTIONS[name]
    check_table(ctdc_network, ctdc_plain, question, "zcdp", groups)


@pytest.mark.slow
@pytest.mark.parametrize("measure", ["persons", "cases"])
@pytest.mark.parametrize("name", FEW)
def test_pooled_tables_are_exact_under_pure_accounting(
    name: str, measure: str, ctdc_network: Network, ctdc_plain: Source
) -> None:
    question = dataclasses.replace(CTDC_QUESTIONS[name], measure=measure)
    check_table(ctdc_network, ctdc_plain, question, "pure", 3)


@pytest.mark.slow
@pytest.mark.parametrize("measure", ["persons", "cases"])
@pytest.mark.parametrize("groups", NAMES)
@pytest.mark.parametrize("name", NRM_QUESTIONS)
def test_pooled_tables_of_the_nrm_are_exact(
    name: str, groups: int, measure: str, nrm_network: Network, nrm_plain: Source
) -> None:
    question = dataclasses.replace(NRM_QUESTIONS[name], measure=measure)
    check_table(nrm_network, nrm_plain, question, "zcdp", groups)
