# SPDX-License-Identifier: Apache-2.0
"""The pages from a file to a store: source, columns, codes, check."""

from __future__ import annotations

import dataclasses
from http import HTTPStatus
from typing import TypeAlias

from starlette.responses import Response

from accord.agent.drafting.asking import all_values
from accord.agent.drafting.draft import Draft, Entry, Kind, Question
from accord.agent.intake.codes import Reason
from accord.agent.intake.mapping import CASES_ONLY, ROW_NUMBER
from accord.agent.intake.report import Report
from accord.agent.setup.home import MOST_UPLOADED, STEPS, SetupHome
from accord.core.errors import AccordError, Conflict, InvalidQuery
from accord.rpc.loopback import visit

Visit: TypeAlias = visit.Visit[SetupHome]

CONSENT = "consent"
"""Under which name a report counts the rows that have none."""

OTHER_COLUMNS = "columns"
"""Instead of one of the proposals: columns that staff picks."""


def steps(found: Visit, here: str) -> list[tuple[str, bool, bool]]:
    """Return every step with whether it is over, and whether it is this one."""
    over = found.home.reached()
    return [(step, over[step], step == here) for step in STEPS]


def source(found: Visit) -> Response:
    """Take a file, by its path or as it is sent."""
    problem: AccordError | None = None
    if found.posted:
        try:
            with found.home.turn:
                _take(found)
            return found.go("columns")
        except AccordError as error:
            problem = error
    return found.page(
        "source.html",
        status=HTTPStatus.BAD_REQUEST if problem else HTTPStatus.OK,
        steps=steps(found, "source"),
        path=found.text("path"),
        most=MOST_UPLOADED >> 20,
        problem=problem,
    )


def _take(found: Visit) -> None:
    upload = found.file("file")
    if upload is not None:
        found.home.take_upload(upload)
    elif path := found.text("path"):
        found.home.take_path(path)
    else:
        raise InvalidQuery("SETUP_NO_SOURCE", found.say("setup.source.choose"))


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """One answer to the question of the person."""

    value: str
    text: str
    chosen: bool


def columns(found: Visit) -> Response:
    """Show what each column was taken for, and ask who is one person."""
    problem: AccordError | None = None
    if found.posted:
        try:
            with found.home.turn:
                _answer_columns(found, _draft_shown(found))
            return found.go("codes")
        except AccordError as error:
            problem = error
    draft = found.home.draft()
    return found.page(
        "columns.html",
        status=HTTPStatus.BAD_REQUEST if problem else HTTPStatus.OK,
        steps=steps(found, "columns"),
        source=found.home.progress.id,
        draft=draft,
        name=found.home.progress.shown_as,
        entries=[
            (name, draft.model.dimensions[name].title, _origin(entry), entry.note)
            for name, entry in draft.in_order()
        ],
        quantities=[
            (draft.model.quantities[name].title, column)
            for name, (column, _) in draft.quantities.items()
        ],
        choices=_choices(found, draft),
        picked=draft.person if isinstance(draft.person, tuple) else (),
        consent=draft.consent,
        dates=[each for each in draft.questions() if each.kind is Kind.DATE][:1],
        left=list(draft.maybe),
        problem=problem,
    )


def _draft_shown(found: Visit) -> Draft:
    """Return the draft that a form is about; needs the turn.

    Its fields have numbers, which mean something else in the form of another source.

    Raises:
        Conflict: SETUP_SOURCE_CHANGED.
    """
    draft = found.home.draft()
    if found.text("source") != found.home.progress.id:
        raise Conflict("SETUP_SOURCE_CHANGED", found.say("setup.source.changed"))
    return draft


def _choices(found: Visit, draft: Draft) -> list[Choice]:
    words = {
        ROW_NUMBER: found.say("setup.columns.row-number"),
        CASES_ONLY: found.say("setup.columns.cases-only"),
    }
    return [
        Choice(
            value=str(number),
            text=words[proposal.person]
            if isinstance(proposal.person, str)
            else ", ".join(proposal.person),
            chosen=proposal.person == draft.person,
        )
        for number, proposal in enumerate(draft.proposals)
    ]


def _origin(entry: Entry) -> str:
    if entry.birth_date:
        return f"{entry.birth_date}, {entry.at}"
    return ", ".join(entry.reads)


def _answer_columns(found: Visit, draft: Draft) -> None:
    draft.answer_person(_person(found, draft))
    _answer_consent(found, draft)
    if (form := found.text("date")) != "":
        draft.answer_date(form)
    kept = {name for name, _ in draft.in_order() if found.text(f"use-{name}")}
    if not kept:
        raise InvalidQuery("SETUP_NOTHING_USED", found.say("setup.columns.nothing"))
    for name in [name for name, _ in draft.in_order() if name not in kept]:
        del draft.entries[name]
    if any(question.kind is Kind.DATE for question in draft.questions()):
        raise InvalidQuery("SETUP_DATE_OPEN", found.say("setup.columns.date-open"))
    found.home.progress.columns_seen = True


def _answer_consent(found: Visit, draft: Draft) -> None:
    if draft.consent is None:
        return
    given = tuple(
        code
        for number, code in enumerate(draft.consent.codes)
        if found.text(f"consent-{number}")
    )
    if not given and not found.text("no-consent"):
        raise InvalidQuery(
            "SETUP_CONSENT_OPEN", found.say("setup.columns.consent-open")
        )
    draft.answer_consent(given)


def _person(found: Visit, draft: Draft) -> tuple[str, ...] | str:
    answer = found.text("person")
    if answer == OTHER_COLUMNS:
        picked = tuple(
            column
            for number, column in enumerate(draft.header)
            if found.text(f"person-{number}")
        )
        if picked:
            return picked
    elif answer.isdecimal() and int(answer) < len(draft.proposals):
        return draft.proposals[int(answer)].person
    raise InvalidQuery("SETUP_PERSON_OPEN", found.say("setup.columns.person-open"))


def codes(found: Visit) -> Response:
    """Ask what the codes mean that have no place, and show those that have one."""
    home = found.home
    if found.posted:
        with home.turn:
            draft = _draft_shown(found)
            for question in home.open_codes():
                value = found.text(f"code-{_place(draft, question)}")
                if value in draft.model.dimensions[question.dimension]:
                    draft.answer_code(question, value)
        return found.go("codes" if home.open_codes() else "check")
    draft = home.draft()
    open_codes = home.open_codes()
    return found.page(
        "codes.html",
        steps=steps(found, "codes"),
        source=home.progress.id,
        asked=[
            (
                _place(draft, question),
                question,
                draft.model.dimensions[question.dimension].title,
            )
            for question in open_codes
        ],
        values={
            question.dimension: all_values(draft.model.dimensions[question.dimension])
            for question in open_codes
        },
        placed=[
            (draft.model.dimensions[name].title, _placed(entry))
            for name, entry in draft.in_order()
            if _placed(entry)
        ],
    )


def _place(draft: Draft, question: Question) -> str:
    """Return what a code is called in the form, whatever was answered before it.

    A form that was shown earlier must not answer for another code.
    """
    codes = list(draft.entries[question.dimension].codes)
    return f"{question.dimension}-{codes.index(question.code)}"


def _placed(entry: Entry) -> list[tuple[str, str]]:
    found = [(code, ", ".join(to)) for code, to in entry.codes.items() if to]
    return found + list(entry.flags.items())


@dataclasses.dataclass(frozen=True, slots=True)
class Refused:
    """Why some rows would be left out."""

    title: str
    text: str
    rows: int
    first: str


def check(found: Visit) -> Response:
    """Show what would be stored; nothing is, until somebody says so."""
    home = found.home
    home.draft()
    if not home.progress.columns_seen:
        return found.go("columns")
    if home.open_codes():
        return found.go("codes")
    with home.turn:
        report = home.check()
    return found.page(
        "check.html",
        steps=steps(found, "check"),
        source=home.progress.id,
        report=report,
        refused=_refused(found, report),
        recorded=[
            (_title(found, name), report.share_recorded(name))
            for name in report.dimensions
        ],
        file=str(home.state.mappings),
        before=home.progress.before,
    )


def store(found: Visit) -> Response:
    """Store it."""
    with found.home.turn:
        _draft_shown(found)
        found.home.store()
    return found.go("keys", "stored")


def _title(found: Visit, name: str) -> str:
    """Return what a place of the mapping is called: of the model, or the record's."""
    model = found.home.draft().model
    if name in model.dimensions:
        return model.dimensions[name].title
    if name in model.quantities:
        return model.quantities[name].title
    return found.say("setup.check.consent") if name == CONSENT else "–"


def _refused(found: Visit, report: Report) -> list[Refused]:
    return [
        Refused(
            title=_title(found, place),
            text=found.say(f"setup.reason.{Reason(reason).word.replace('_', '-')}"),
            rows=refusal.rows,
            first=report.rows_named(refusal),
        )
        for (place, reason), refusal in sorted(report.refusals.items())
    ]
