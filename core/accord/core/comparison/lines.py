# SPDX-License-Identifier: Apache-2.0
"""A difference in plain words, for terminals and for the page of a board."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from accord.core.comparison.difference import Changed, Difference, Example
from accord.core.comparison.orders import Way
from accord.core.comparison.requests import ANY_OTHER, RequestClass, Status
from accord.core.messages import sentence

BULLET: Final = "  - "


def difference_lines(difference: Difference, language: str = "en") -> list[str]:
    """Return what changes, line by line; the last line is the verdict."""
    return list(_lines(difference, language))


def difference_json(difference: Difference, language: str = "en") -> dict[str, object]:
    """Return what changes as plain JSON values, with its sentences."""
    return {
        "agreement": difference.name,
        "before_version": difference.before_version,
        "after_version": difference.after_version,
        "classes": difference.classes,
        "newly_allowed": _changed_json(
            difference.newly_allowed, language, difference.single_level
        ),
        "no_longer_allowed": _changed_json(
            difference.no_longer_allowed, language, difference.single_level
        ),
        "shifts": [
            {"way": each.way.value, "clause": each.path, "text": each.text(language)}
            for each in difference.shifts
        ],
        "loosens": difference.loosens,
    }


def _changed_json(
    changed: Changed, language: str, single: frozenset[str]
) -> dict[str, object]:
    return {
        "count": changed.count,
        "examples": [
            {
                "role": example.request.role,
                "organisation": example.request.organisation,
                "purpose": example.request.purpose,
                "measure": example.request.measure,
                "dimensions": [list(step) for step in example.request.shape.steps],
                "named": list(example.request.shape.named or ()) or None,
                "before": example.before.name.lower(),
                "after": example.after.name.lower(),
                "limits": list(example.limits),
                "text": example_text(example, language, single),
            }
            for example in changed.examples
        ],
    }


def _lines(difference: Difference, language: str) -> Iterator[str]:
    single = difference.single_level
    yield _title(difference, language)
    nothing = True
    for changed, heading in (
        (difference.newly_allowed, "possible"),
        (difference.no_longer_allowed, "impossible"),
    ):
        if changed.count:
            nothing = False
            number = "one" if changed.count == 1 else "many"
            yield sentence(
                f"compare.heading.{heading}.{number}",
                language,
                count=f"{changed.count:,}",
            )
            yield from _changed(changed, language, single)
    for way in (Way.LOOSER, Way.OTHER, Way.TIGHTER):
        chosen = [each for each in difference.shifts if each.way is way]
        if chosen:
            nothing = False
            yield sentence(f"compare.heading.{way.value}", language)
            for each in chosen:
                yield f"{BULLET}{each.text(language)}"
    if nothing:
        yield sentence("compare.nothing", language)
    yield verdict(difference, language)


def verdict(difference: Difference, language: str = "en") -> str:
    """Return the one sentence that a board wants first."""
    return sentence(
        "compare.verdict.looser" if difference.loosens else "compare.verdict.tighter",
        language,
    )


def _title(difference: Difference, language: str) -> str:
    before, after = difference.before_version, difference.after_version
    message = "changed"
    if before is None:
        message = "new"
    elif after is None:
        message = "gone"
    return sentence(
        f"compare.title.{message}",
        language,
        name=difference.name,
        before=str(before),
        after=str(after),
    )


def _changed(changed: Changed, language: str, single: frozenset[str]) -> Iterator[str]:
    for example in changed.examples:
        yield f"{BULLET}{example_text(example, language, single)}"
    left = changed.count - len(changed.examples)
    if left:
        yield BULLET + sentence("compare.more", language, count=f"{left:,}")


def example_text(
    example: Example, language: str = "en", single: frozenset[str] = frozenset()
) -> str:
    """Return one class of requests and how far it is, or was, allowed."""
    text = request_text(example.request, language, single)
    if not example.limits:
        return sentence("compare.example", language, request=text)
    limits = [sentence(f"compare.limit.{each}", language) for each in example.limits]
    message = "now" if example.after is Status.LIMITED else "until-now"
    return sentence(
        f"compare.example.{message}",
        language,
        request=text,
        limits=sentence("compare.and", language).join(limits),
    )


def request_text(
    request: RequestClass, language: str = "en", single: frozenset[str] = frozenset()
) -> str:
    """Return who may ask what and why, in one sentence without its full stop."""
    return sentence(
        "compare.request",
        language,
        role=_named(request.role, language),
        organisation=_named(request.organisation, language),
        question=_question(request, language, single),
        purpose=_named(request.purpose, language),
    )


def _named(word: str, language: str) -> str:
    return sentence("compare.any-other", language) if word == ANY_OTHER else word


def _question(request: RequestClass, language: str, single: frozenset[str]) -> str:
    named = request.shape.named
    groups = [
        name if name in single else f"{name} ({level})"
        for name, level in request.shape.steps
        if named is None or name != named[0]
    ]
    by = sentence("compare.and", language).join(
        part for part in (", ".join(groups[:-1]), *groups[-1:]) if part
    )
    message = f"compare.question{'.by' if groups else ''}{'.named' if named else ''}"
    return sentence(
        message,
        language,
        measure=request.measure,
        dimensions=by,
        dimension=named[0] if named else "",
        value=named[1] if named else "",
    )
