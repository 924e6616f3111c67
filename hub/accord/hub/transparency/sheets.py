# SPDX-License-Identifier: Apache-2.0
"""The same publication for programs: one JSON document, and tables as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from accord.core._version import __version__
from accord.hub.transparency.publication import (
    AskedQuestion,
    Publication,
    PublishedRelease,
    Words,
)
from accord.hub.transparency.words import Speech
from accord.v1 import analyst_pb2

FORMAT: Final = 1
"""Number of the layout of the JSON document."""

_QUESTIONS: Final = (
    "number",
    "day",
    "organisation",
    "purpose",
    "question",
    "outcome",
    "reason",
    "clauses",
    "epsilon",
    "nano_rho",
    "nano_epsilon",
    "release",
)
_RELEASES: Final = (
    "release",
    "day",
    "question",
    "epsilon",
    "nano_rho",
    "nano_epsilon",
    "erased",
    "agreement_version",
    "answered",
    "missing",
    "level",
    "persons",
    "dropped",
    "sha256",
)
_FIGURES: Final = ("estimate", "lower", "upper", "sd", "suppressed")


def document(shown: Publication) -> bytes:
    """Return everything as JSON."""
    form = shown.agreement.form
    content = {
        "accord_export": FORMAT,
        "version": __version__,
        "made_on": f"{shown.at:%Y-%m-%d}",
        "agreement": {
            "name": shown.agreement.name,
            "version": form.version,
            "sha256": shown.agreement.digest,
            "policies_version": shown.policies_version,
            "parties": list(shown.agreement.parties),
            "accounting": shown.agreement.accounting.value,
            "delta": float(form.spend.delta or 0),
        },
        "unsafe": shown.unsafe,
        "log": shown.log
        and {
            "size": shown.log.size,
            "root": shown.log.root.hex(),
            "witnesses": list(shown.log.witnesses),
        },
        "spent_epsilon": shown.spent,
        "budget": [
            {
                "account": each.name,
                "period": each.period,
                "cap_epsilon": each.cap_epsilon,
                "spent_epsilon": each.spent_epsilon,
            }
            for each in shown.accounts
        ],
        "questions": [_question(each) for each in shown.questions],
        "releases": [_release(each) for each in shown.releases],
    }
    return json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n"


def _question(question: AskedQuestion) -> dict[str, Any]:
    return {
        "number": question.number,
        "day": f"{question.day}",
        "organisation": question.organisation,
        "purpose": question.purpose,
        "query": _query(question.words),
        "outcome": question.outcome.value,
        "reason": question.reason,
        "clauses": list(question.clauses),
        "epsilon": question.epsilon,
        "nano_rho": question.loss.nano_rho,
        "nano_epsilon": question.loss.nano_epsilon,
        "release": question.release,
    }


def _query(words: Words) -> dict[str, Any]:
    return {
        "measure": words.measure,
        "by": [{"dimension": name, "level": level} for name, level in words.by],
        "where": [
            {"dimension": name, "values": list(values)} for name, values in words.where
        ],
        "edition": words.edition,
    }


def _release(release: PublishedRelease) -> dict[str, Any]:
    cost = release.summary.cost
    known = {
        "release": release.id,
        "day": f"{release.day}",
        "query": _query(release.words),
        "epsilon": cost.epsilon,
        "nano_rho": cost.loss.nano_rho,
        "nano_epsilon": cost.loss.nano_epsilon,
        "erased": release.content is None,
    }
    found = release.message
    if found is None:
        return known
    return {
        **known,
        "sha256": release.digest,
        "agreement_version": found.agreement_version,
        "answered": list(found.coverage.answered),
        "missing": list(found.coverage.missing),
        "level": found.level,
        "unit": found.unit,
        "columns": _dimensions(found),
        "persons": _estimate(found.persons),
        "dropped": _estimate(found.dropped),
        "rows": [
            {"values": list(row.values), **_estimate(row.estimate)}
            for row in found.rows
        ],
        "not_covered": list(found.not_covered),
    }


def _estimate(estimate: analyst_pb2.Estimate) -> dict[str, Any]:
    if estimate.suppressed:
        return {
            "estimate": None,
            "lower": None,
            "upper": None,
            "sd": None,
            "suppressed": True,
        }
    return {
        "estimate": estimate.estimate,
        "lower": estimate.lower,
        "upper": estimate.upper,
        "sd": estimate.sd,
        "suppressed": False,
    }


def tables(shown: Publication, language: str) -> Iterator[tuple[str, bytes]]:
    """Yield the CSV files: all questions, all releases, the figures of each."""
    speech = Speech(language)
    yield (
        "questions.csv",
        _csv(
            _QUESTIONS,
            (
                (
                    each.number,
                    each.day,
                    each.organisation,
                    each.purpose,
                    speech.question(each.words),
                    each.outcome.value,
                    each.reason,
                    " ".join(each.clauses),
                    each.epsilon,
                    each.loss.nano_rho,
                    each.loss.nano_epsilon,
                    each.release,
                )
                for each in shown.questions
            ),
        ),
    )
    yield (
        "releases.csv",
        _csv(_RELEASES, (_listed(speech, each) for each in shown.releases)),
    )
    for release in shown.releases:
        found = release.message
        if found is None:
            continue
        columns = (*_dimensions(found), *_FIGURES)
        rows = ((*row.values, *_estimate(row.estimate).values()) for row in found.rows)
        yield f"releases/{found.id}.csv", _csv(columns, rows)


def _dimensions(release: analyst_pb2.Release) -> list[str]:
    """Return the names of every row's values."""
    names = [each.dimension for each in release.by]
    return [*names, release.slot_dimension] if release.slot_dimension else names


def _listed(speech: Speech, release: PublishedRelease) -> Sequence[object]:
    cost, found = release.summary.cost, release.message
    known = (
        release.id,
        release.day,
        speech.question(release.words),
        cost.epsilon,
        cost.loss.nano_rho,
        cost.loss.nano_epsilon,
        found is None,
    )
    if found is None:
        return known
    return (
        *known,
        found.agreement_version,
        " ".join(found.coverage.answered),
        " ".join(found.coverage.missing),
        found.level,
        _estimate(found.persons)["estimate"],
        _estimate(found.dropped)["estimate"],
        release.digest,
    )


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Return a table; nothing that is not there is written as nothing."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
    return text.getvalue().encode()
