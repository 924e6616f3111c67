# SPDX-License-Identifier: Apache-2.0
"""The questions of a draft on a terminal. An empty line leaves one open.

Codes of the agency's own columns are shown here, on the screen of its own staff, and
go nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from accord.agent.drafting.draft import PERSON_WORDS, Draft, Kind, Question
from accord.agent.intake.mapping import CASES_ONLY, ROW_NUMBER
from accord.core.dimension import UNKNOWN, Dimension

Ask: TypeAlias = Callable[[str], str]
"""Shows a prompt and returns the line that was typed; raises EOFError at the end."""

Say: TypeAlias = Callable[[str], None]

MOST_ASKED = 40
"""Codes that are asked for one by one; more are better written into the file."""


def ask_all(draft: Draft, ask: Ask, say: Say) -> None:
    """Ask what is open; whoever ends the input leaves the rest open."""
    try:
        _ask_all(draft, ask, say)
    except EOFError:
        say("")


def _ask_all(draft: Draft, ask: Ask, say: Say) -> None:
    questions = list(draft.questions())
    codes = [question for question in questions if question.kind is Kind.CODE]
    for question in questions:
        if question.kind is Kind.PERSON:
            _ask_person(draft, ask, say)
        elif question.kind is Kind.CONSENT:
            _ask_consent(draft, question, ask, say)
        elif question.kind is Kind.DATE:
            _ask_date(draft, question, ask, say)
    if len(codes) > MOST_ASKED:
        say(f"{len(codes)} codes have no place yet; the file asks for each of them.")
        return
    for question in codes:
        _ask_code(draft, question, ask, say)


def _ask_person(draft: Draft, ask: Ask, say: Say) -> None:
    say("")
    say(
        "Which columns identify a person? This decides how well people are protected: "
        "choose columns that do not change."
    )
    for number, proposal in enumerate(draft.proposals, 1):
        say(f"  {number}  {described(proposal.person)}")
    while True:
        typed = ask("A number, or names of columns with commas between them: ").strip()
        if not typed:
            return
        if typed.isdecimal() and 0 < int(typed) <= len(draft.proposals):
            draft.answer_person(draft.proposals[int(typed) - 1].person)
            return
        person = person_typed(typed)
        unknown = [] if isinstance(person, str) else set(person) - set(draft.header)
        if not unknown:
            draft.answer_person(person)
            return
        say(f"The source has no column {min(unknown)!r}.")


def _ask_consent(draft: Draft, question: Question, ask: Ask, say: Say) -> None:
    say("")
    if not question.choices:
        say(
            f"{question.column!r} may say whether a record may be counted. People seem "
            "to write freely there, so its texts are not shown; the file asks for them."
        )
        if ask("An empty line, or - if it says something else: ").strip() == "-":
            draft.answer_consent(())
        return
    say(f"Which codes of {question.column!r} say that a record may be counted?")
    for number, code in enumerate(question.choices, 1):
        say(f"  {number}  {code}")
    prompt = "Numbers with commas between them, or - if it says something else: "
    while typed := ask(prompt).strip():
        if typed == "-":
            draft.answer_consent(())
            return
        numbers = [part.strip() for part in typed.split(",")]
        chosen = [
            question.choices[int(each) - 1]
            for each in numbers
            if each.isdecimal() and 0 < int(each) <= len(question.choices)
        ]
        if len(chosen) == len(numbers):
            draft.answer_consent(tuple(dict.fromkeys(chosen)))
            return


def _ask_date(draft: Draft, question: Question, ask: Ask, say: Say) -> None:
    if question not in draft.questions():
        return  # the answer to another one settled it
    say("")
    say(f"{question.column}: which of these are its dates?")
    for number, form in enumerate(question.choices, 1):
        say(f"  {number}  {form}")
    while typed := ask("A number: ").strip():
        if typed.isdecimal() and 0 < int(typed) <= len(question.choices):
            draft.answer_date(question.choices[int(typed) - 1])
            return


def _ask_code(draft: Draft, question: Question, ask: Ask, say: Say) -> None:
    dimension = draft.model.dimensions[question.dimension]
    choices = [*question.choices, UNKNOWN]
    say("")
    say(f"{question.column}: what does {question.code!r} mean as {dimension.title!r}?")
    for number, value in enumerate(choices, 1):
        say(f"  {number}  {value}")
    while typed := ask("A number, another value, or ? for all values: ").strip():
        if typed == "?":
            say(", ".join(all_values(dimension)))
        elif typed.isdecimal() and 0 < int(typed) <= len(choices):
            draft.answer_code(question, choices[int(typed) - 1])
            return
        elif typed in dimension:
            draft.answer_code(question, typed)
            return
        else:
            say("There is no such value.")


def all_values(dimension: Dimension) -> list[str]:
    """Return every value of every level, coarse ones first."""
    values = [
        node
        for level in reversed(dimension.levels)
        for node in dimension.domain(level)
        if not node.endswith("?")
    ]
    return list(dict.fromkeys(values))


def described(person: tuple[str, ...] | str) -> str:
    """Return what an answer to the question of the person means, in words."""
    words = {
        ROW_NUMBER: "row_number: every row is a person of its own",
        CASES_ONLY: "cases-only: the records name nobody",
    }
    return words[person] if isinstance(person, str) else ", ".join(person)


def person_typed(text: str) -> tuple[str, ...] | str:
    """Return what was typed for the person: one of two words, or columns."""
    word = PERSON_WORDS.get(text.strip(), text.strip())
    if word in (ROW_NUMBER, CASES_ONLY):
        return word
    return tuple(part.strip() for part in text.split(",") if part.strip())
