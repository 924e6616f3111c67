# SPDX-License-Identifier: Apache-2.0
"""The pages to look at: what is in force, and what waits."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

from starlette.responses import Response

from accord.client.board.visit import Visit
from accord.client.policy.desk import Desk, utc_now
from accord.core.errors import AccordError, NotFound
from accord.core.explain import explain_agreement
from accord.core.members import with_short_keys
from accord.core.policy import PolicySet


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A proposal in a list."""

    id: str
    comment: str
    paths: str
    signed: str
    missing: tuple[str, ...]
    state: str
    """Of ``draft``, ``waiting``, ``complete``, ``published``."""
    day: str


def home(visit: Visit) -> Response:
    """Show what is in force and what waits, or what has to be set up first."""
    values: dict[str, Any] = {
        "profile": visit.home.profile(),
        "keys": visit.home.key_files(),
        "board": None,
        "view": None,
        "proposals": [],
        "published": [],
        "needs_board": False,
        "empty": False,
    }
    if values["profile"] is None:
        return visit.page("home.html", **values)
    try:
        with visit.home.desk() as desk:
            _look(desk, values)
    except AccordError as error:
        values["problem"] = error
    return visit.page("home.html", **values)


def _look(desk: Desk, values: dict[str, Any]) -> None:
    """Fill in what is known; the list of proposals also where policies are refused."""
    lines = list_of(desk)
    values["proposals"] = [line for line in lines if line.state != "published"]
    values["published"] = [line for line in lines if line.state == "published"]
    if desk.is_confirmed():
        values["board"] = desk.board()
        values["view"] = desk.trusted.view()
        values["view"] = desk.refresh(utc_now())
        values["board"] = desk.board()
        return
    values["needs_board"] = desk.has_policies()
    values["empty"] = not values["needs_board"]


def list_of(desk: Desk) -> list[Line]:
    """Return the proposals at the hub and those that are only here, newest first."""
    lines = [
        Line(
            id=each.id,
            comment=each.comment,
            paths=", ".join(each.paths),
            signed=", ".join(each.signed),
            missing=each.missing,
            state="published"
            if each.published
            else "complete"
            if each.complete
            else "waiting",
            day=_day(each.offered_at),
        )
        for each in desk.waiting()
    ]
    there = {line.id for line in lines}
    here = [
        Line(
            id=proposal.id,
            comment=proposal.comment,
            paths=", ".join(proposal.changed()),
            signed=", ".join(proposal.standing().signed),
            missing=tuple(proposal.standing().missing),
            state="draft",
            day="",
        )
        for proposal in desk.drafts()
        if proposal.id not in there
    ]
    return here + lines


def policy(visit: Visit) -> Response:
    """Show an agreement in plain sentences, and as it is written."""
    name = visit.where["name"]
    with visit.home.desk() as desk:
        policies = _in_force(desk)
    found = policies.policy(name)
    if found is None:
        raise NotFound("AGREEMENT_UNKNOWN", visit.say("board.page.no-agreement"))
    sections: dict[str, list[str]] = {}
    for passage in explain_agreement(found, policies.board):
        heading = passage.heading(visit.language)
        sections.setdefault(heading, []).append(passage.text(visit.language))
    return visit.page(
        "policy.html",
        agreement=found.agreement,
        sections=sections,
        text=found.agreement.text,
        path=f"agreements/{name}.yaml",
    )


def document(visit: Visit) -> Response:
    """Show one document in force as it is written."""
    path = visit.where["path"]
    with visit.home.desk() as desk:
        content = _in_force(desk).documents.get(path)
    if content is None:
        raise NotFound("DOCUMENT_UNKNOWN", visit.say("board.page.no-document"))
    text = with_short_keys(content.decode("utf-8", "replace"))
    return visit.page("document.html", path=path, text=text)


def _in_force(desk: Desk) -> PolicySet:
    return desk.refresh(utc_now()).policies


def _day(seconds: int) -> str:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.date().isoformat()
