# SPDX-License-Identifier: Apache-2.0
"""Questions, outcomes and figures in the words of one language."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math

from accord.core.messages import sentence
from accord.hub.transparency.publication import AskedQuestion, Outcome, Words

_HUNDREDTHS = 100


@dataclasses.dataclass(frozen=True, slots=True)
class Speech:
    """Says things in one language."""

    language: str

    def say(self, name: str, /, **values: object) -> str:
        """Return the sentence ``export.NAME`` with values put in."""
        return sentence(f"export.{name}", self.language, **values)

    def known(self, name: str, /, **values: object) -> str | None:
        """Return the words ``export.NAME`` if the catalogue has them."""
        try:
            return self.say(name, **values)
        except LookupError:
            return None

    def measure(self, name: str) -> str:
        """Return what is counted, such as ``share(region:country)``, in words."""
        kind, _, of = name.removesuffix(")").partition("(")
        about, _, level = of.partition(":")
        if level and level != about:
            about = self.say("level", dimension=about, level=level)
        return self.known(f"measure.{kind}", of=about) or name

    def question(self, words: Words) -> str:
        """Return a question in one line."""
        other = self.say("unknown-word")
        parts = [self.measure(words.measure) if words.measure else other]
        if words.by:
            listed = ", ".join(
                self.say("level", dimension=name or other, level=level or other)
                if level not in ("", name)
                else name or other
                for name, level in words.by
            )
            parts.append(self.say("by", dimensions=listed))
        for name, values in words.where:
            listed = ", ".join(value or other for value in values)
            parts.append(self.say("where", dimension=name or other, values=listed))
        if words.edition:
            parts.append(self.say("edition", edition=words.edition))
        return ", ".join(parts)

    def outcome(self, question: AskedQuestion) -> str:
        """Return what became of a question, with the reason where there is one."""
        said = self.say(f"outcome.{question.outcome.value}")
        if question.outcome not in {Outcome.REFUSED, Outcome.FAILED}:
            return said
        why = [
            self.known(code.replace("deny", "clause", 1)) or code
            for code in question.clauses
        ]
        if not why and question.reason:
            why = [self.known(f"reason.{question.reason}") or question.reason]
        return f"{said}: {'; '.join(dict.fromkeys(why))}" if why else said


def count(value: float) -> str:
    """Return a figure as people read it: whole numbers from 100 on, else one decimal.

    JSON and CSV have it exactly.
    """
    digits = 0 if abs(value) >= _HUNDREDTHS else 1
    rounded = round(value, digits) or 0.0  # no minus before a nought
    return f"{rounded:.{digits}f}".removesuffix(".0")


def figure(value: float, unit: str) -> str:
    """Return a figure of a release in its unit: shares as parts of a hundred."""
    if unit != "share":
        return count(value)
    rounded = round(_HUNDREDTHS * value, 1) or 0.0  # no minus before a nought
    return f"{rounded:.1f} %"


def spent(epsilon: float) -> str:
    """Return a loss to two decimals, never below it."""
    return f"{math.ceil(round(epsilon * _HUNDREDTHS, 6)) / _HUNDREDTHS:g}"


def day(moment: dt.datetime | dt.date) -> str:
    """Return a day as all languages can read it."""
    return f"{moment:%Y-%m-%d}"
