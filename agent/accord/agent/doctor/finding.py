# SPDX-License-Identifier: Apache-2.0
"""One line of an examination."""

from __future__ import annotations

import dataclasses
import enum

from accord.core.errors import AccordError


class Verdict(enum.StrEnum):
    """How it stands with one thing."""

    OK = "ok"
    WARNING = "warning"
    """It works, and something should be done about it."""
    WRONG = "wrong"
    """The agent cannot work so."""


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one thing; holds no secret and no count of records."""

    thing: str
    verdict: Verdict
    sentence: str
    advice: str = ""
    """What to do."""
    reason: str = ""
    """Reason of the error behind it, if there is one."""

    def as_json(self) -> dict[str, str]:
        """Return it for programs."""
        return {
            "thing": self.thing,
            "verdict": self.verdict.value,
            "text": self.sentence,
            "advice": self.advice,
            "reason": self.reason,
        }


def ok(thing: str, sentence: str) -> Finding:
    """Return that all is well with *thing*."""
    return Finding(thing, Verdict.OK, sentence)


def warning(thing: str, sentence: str, advice: str) -> Finding:
    """Return what should be looked after."""
    return Finding(thing, Verdict.WARNING, sentence, advice)


def wrong(thing: str, sentence: str, advice: str) -> Finding:
    """Return what is in the way."""
    return Finding(thing, Verdict.WRONG, sentence, advice)


def from_error(
    thing: str, error: AccordError, verdict: Verdict = Verdict.WRONG
) -> Finding:
    """Return an error as a line; its sentence names the way out already."""
    return Finding(thing, verdict, error.sentence, reason=error.reason)
