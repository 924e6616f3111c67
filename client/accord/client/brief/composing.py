# SPDX-License-Identifier: Apache-2.0
"""From releases to the sections of a brief: one for each question.

Releases of one question over several editions make one section, so that breaks between
them are seen. What does not fit on a page is counted, never silently left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Final

from accord.client.brief.drawing import drawing_of
from accord.client.brief.figures import figure_sentences
from accord.client.brief.over_time import trend_sentences
from accord.client.citation import citation
from accord.client.result import Result
from accord.client.trends.series import period_of, time_of
from accord.core.errors import InvalidQuery
from accord.core.messages import sentence

MOST_SECTIONS: Final = 6
"""Questions on one page; the newest ones."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What is to be said on one question."""

    title: str
    sentences: tuple[str, ...]
    drawing: str
    """SVG; empty where nothing could be drawn."""
    releases: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """All that stands on the page, in order."""

    title: str
    language: str
    sections: tuple[Section, ...]
    notes: tuple[str, ...]
    """How to read the figures."""
    not_covered: tuple[str, ...]
    citations: tuple[str, ...]

    def sentences(self) -> list[str]:
        """Return all sentences, in the order of the page."""
        said = [line for section in self.sections for line in section.sentences]
        return [*said, *self.notes, *self.not_covered, *self.citations]


def brief_of(
    releases: Iterable[Result], *, drawings: bool = True, language: str = "en"
) -> Brief:
    """Write a brief on *releases*.

    Args:
        releases: in any order; the newest question comes first on the page.
        drawings: draw what can be drawn, if the libraries are installed.
        language: of the sentences.

    Raises:
        InvalidQuery: NO_SERIES, there is no release.
    """
    results = sorted(releases, key=lambda each: each.released_at, reverse=True)
    if not results:
        raise InvalidQuery("NO_SERIES", "There is no release to write about.")
    topics = _topics(results)
    shown = topics[:MOST_SECTIONS]
    used = [result for topic in shown for result in topic]
    sections = tuple(_section(topic, language, drawings=drawings) for topic in shown)
    level = min(result.level for result in used)
    notes = [sentence("brief.intervals", language, level=f"{level:.1%}")]
    if drawings and not any(section.drawing for section in sections):
        notes.append(sentence("brief.no-drawing", language))
    if left := len(topics) - len(shown):
        notes.append(sentence("brief.more", language, count=left))
    agreements = ", ".join(dict.fromkeys(result.agreement for result in used))
    return Brief(
        title=sentence("brief.title", language, agreement=agreements),
        language=language,
        sections=sections,
        notes=tuple(notes),
        not_covered=tuple(
            dict.fromkeys(text for result in used for text in result.not_covered)
        ),
        citations=tuple(citation(result) for result in used),
    )


def _topics(results: Sequence[Result]) -> list[list[Result]]:
    """Return the releases of each question together, the newest first.

    Editions of a question that is about no time count the same cases again; only the
    newest is told.
    """
    found: dict[object, list[Result]] = {}
    for result in results:
        period = None if time_of(result) else period_of(result)
        where = tuple(
            (name, values)
            for name, values in result.where.items()
            if period is None or values != (period,)
        )
        question = (result.agreement, result.measure, result.by, result.levels, where)
        found.setdefault(question, []).append(result)
    return [topic if _in_time(topic) else topic[:1] for topic in found.values()]


def _in_time(topic: Sequence[Result]) -> bool:
    newest = topic[0]
    return time_of(newest) is not None or (
        len(topic) > 1 and period_of(newest) is not None
    )


def _section(topic: Sequence[Result], language: str, *, drawings: bool) -> Section:
    newest = topic[0]
    say = trend_sentences if _in_time(topic) else figure_sentences
    said = say(topic, language)
    if not newest.coverage.is_complete:
        words = str(newest.coverage)
        said.append(sentence("brief.partial", language, coverage=words))
    return Section(
        title=newest.title(),
        sentences=tuple(said),
        drawing=drawing_of(newest) if drawings else "",
        releases=tuple(result.id for result in topic),
    )
