# SPDX-License-Identifier: Apache-2.0
"""How a release is quoted, and the notes that travel with its figures in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accord.client.result import Result

HOW_TO_READ = {
    "noise interval (lower, upper)": (
        "Holds the figure that the agencies' bounded records add up to, each figure by "
        "itself. What the bound on one person left out is not in it."
    ),
    "whole interval (whole_lower, whole_upper)": (
        "Holds what the records say without any bound on one person, in at least so "
        "large a part of this table's cells. Empty where it is withheld."
    ),
    "suppressed, why": (
        "An empty figure is not zero. small: the noisy figure is below the agreement's "
        "limit; denominator: what it is divided by is not above its noise; "
        "no-information: there is nothing to divide."
    ),
}
"""Of the columns of every exported table."""


_OF_ONE = ("cite as", "release")
"""Headings that a table of several releases does not need: their citations say it."""


def citation(result: Result) -> str:
    """Return one line that quotes a release."""
    derived = f", derived from release {result.derived_from}" * bool(
        result.derived_from
    )
    return (
        f"Accord, agreement {result.agreement} version {result.agreement_version}: "
        f"{result.title()}; edition {result.edition}; {result.coverage}; release "
        f"{result.id}{derived}, {result.released_at:%Y-%m-%d}; intervals at "
        f"{result.level:.1%}."
    )


def notes_of(result: Result) -> list[tuple[str, str]]:
    """Return headings and sentences for the notes of an exported table."""
    whole = result.whole_withheld or "The release has none."
    if result.whole_level:
        whole = f"{result.whole_level:.2%} of the cells"
    found = [
        ("cite as", citation(result)),
        ("question", result.title()),
        ("unit", result.unit),
        ("denominator", result.denominator),
        ("coverage", str(result.coverage)),
        ("agreement", f"{result.agreement} version {result.agreement_version}"),
        ("edition", result.edition),
        ("release", result.id),
        ("released", result.released_at.isoformat()),
        ("derived from", result.derived_from),
        ("standing question", result.standing),
        ("level of the noise interval", f"{result.level:.2%}"),
        ("level of the whole interval", whole),
        *HOW_TO_READ.items(),
        ("truncation", truncation(result)),
        ("cost", f"ε = {result.cost.epsilon:.3g}, δ = {result.delta:g}"),
    ]
    found += [
        (f"definition of {each.dimension}, {each.agency}", each.text)
        for each in result.definitions
    ]
    found += [("note", note) for note in result.footnotes()]
    return [(name, text) for name, text in found if text]


def notes_of_all(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Return the same for several releases in one table; what they share is said once.

    Every release has its own citation line; what is said of one of them alone stands
    under a heading with its id.
    """
    said = [
        [note for note in notes_of(each) if note[0] not in _OF_ONE] for each in results
    ]
    found = [("cite as", citation(each)) for each in results]
    headings = dict.fromkeys(name for notes in said for name, _ in notes)
    for heading in headings:
        shared = [
            note
            for note in said[0]
            if note[0] == heading and all(note in notes for notes in said)
        ]
        found += shared
        found += [
            (f"{heading}, release {result.id}", note[1])
            for result, notes in zip(results, said, strict=True)
            for note in notes
            if note[0] == heading and note not in shared
        ]
    return found


def truncation(result: Result) -> str:
    """Return what the bound on one person left out, in words."""
    if result.bounding == "weigh":
        kept = (
            f"A person in more than {result.groups_per_person} cells of one agency "
            "counts in each of them with less weight"
        )
    else:
        kept = f"A person counts in at most {result.groups_per_person} cells per agency"
    spread = "an unknown number of"
    shown = result.dropped
    if shown.estimate is not None and shown.upper is not None:
        spread = f"{shown.estimate:,.0f} ± {shown.upper - shown.estimate:,.0f}"
    part = f" ({result.dropped_share:.1%})" if result.dropped_share else ""
    return f"{kept}; {spread} cells{part} were left out for that."
