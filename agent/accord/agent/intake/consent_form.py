# SPDX-License-Identifier: Apache-2.0
"""How a mapping says which records may be counted at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from accord.agent.intake.dates import wrong_format
from accord.agent.sources.form import Column, Texts
from accord.core.document import Strict

Path = tuple[str | int, ...]


class ConsentEntry(Strict):
    """Where the consent to share a record stands."""

    column: Column
    given: Texts
    """Codes that say so; all others leave the row out."""
    not_given: Texts = []
    """Codes that say not so; they are counted apart from what nobody has named."""
    until: Column | None = None
    """Its last day; an empty field: it has no end."""
    date: Texts | None = None
    """Format of that day, or a list of them."""


class OptOutEntry(Strict):
    """Where it stands that somebody does not want to be counted."""

    column: Column
    values: Texts
    """Codes that say so."""
    no: Texts | None = None
    """Codes that say not so, in the place of the usual ones."""


def consent_columns(
    consent: ConsentEntry | None, opt_out: OptOutEntry | None
) -> Iterator[tuple[str, Path]]:
    """Yield the columns of both, with where they are named."""
    if consent is not None:
        yield consent.column, ("consent", "column")
        if consent.until is not None:
            yield consent.until, ("consent", "until")
    if opt_out is not None:
        yield opt_out.column, ("opt_out", "column")


def wrong_consent(
    consent: ConsentEntry | None, opt_out: OptOutEntry | None
) -> Iterator[tuple[Path, str]]:
    """Find entries that contradict each other."""
    twice = "this code stands on both sides."
    if consent is not None:
        given = _folded(consent.given)
        if "" in given:
            yield ("consent", "given"), "an empty field is no consent."
        if given & _folded(consent.not_given):
            yield ("consent", "not_given"), twice
        if consent.date is not None and consent.until is None:
            yield ("consent", "date"), "this goes only with `until`."
        for index, form in enumerate(consent.date or ()):
            if wrong := wrong_format(form, day=True):
                yield ("consent", "date", index), wrong
    if opt_out is not None and _folded(opt_out.values) & _folded(opt_out.no or ()):
        yield ("opt_out", "no"), twice


def _folded(codes: Iterable[str]) -> set[str]:
    return {code.strip().casefold() for code in codes}
