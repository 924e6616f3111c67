# SPDX-License-Identifier: Apache-2.0
"""Sentences on figures that are in no order of time: the largest, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from accord.client.brief.spans import span_of, subject_of
from accord.client.result import Result, Row
from accord.client.trends.series import names_of
from accord.core.messages import sentence

MOST_FIGURES: Final = 8
"""Cells with a sentence of their own."""


def figure_sentences(topic: Sequence[Result], language: str) -> list[str]:
    """Return what is to be said on one release without time."""
    result = topic[0]
    known = [row for row in result if row.estimate.estimate is not None]
    hidden = len(result.rows) - len(known)
    known.sort(key=_size, reverse=True)
    said = [_figure(result, row, language) for row in known[:MOST_FIGURES]]
    if left := len(known) - len(said):
        said.append(sentence("brief.more", language, count=left))
    if hidden:
        amount = {"count": hidden, "all": len(result.rows)}
        said.append(sentence("brief.suppressed", language, **amount))
    return said


def _size(row: Row) -> float:
    return row.estimate.estimate or 0.0


def _figure(result: Result, row: Row, language: str) -> str:
    values = dict(zip(names_of(result), row.values, strict=True))
    subject = subject_of(values, language)
    span = span_of(row.estimate, result.unit or result.measure)
    if span is None:
        return sentence("brief.unknown", language, subject=subject)
    lower, upper = span
    return sentence("brief.figure", language, subject=subject, lower=lower, upper=upper)
