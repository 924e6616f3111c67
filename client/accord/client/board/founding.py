# SPDX-License-Identifier: Apache-2.0
"""The page on which a board is founded."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import Response

from accord.client.board.visit import Visit
from accord.client.policy.agency_keys import pasted_keys
from accord.client.policy.desk import utc_now
from accord.client.policy.drafting import draft
from accord.client.policy.entering import enter_keys
from accord.client.policy.folder import sample_documents, target_path
from accord.client.policy.founding import Founder, board_text
from accord.client.policy.keys import public_key
from accord.core.errors import AccordError, Conflict, InvalidQuery
from accord.core.policy import BOARD, MEMBERS

PLACES = range(1, 8)
"""Members that the form has room for; more are added later, in board.yaml."""

SEATS = range(1, 4)


def found(visit: Visit) -> Response:
    """Ask for the board's names and keys, and make the first proposal."""
    if not visit.posted:
        return _form(visit)
    try:
        documents = _documents(visit)
        with visit.home.desk() as desk:
            if desk.in_force(utc_now()) is not None:
                raise Conflict("BOARD_EXISTS", visit.say("board.page.board-exists"))
            comment = visit.text("comment")
            proposal = draft(None, documents, comment=comment, now=utc_now())
            desk.keep(proposal)
    except AccordError as error:
        return _form(visit, error)
    return visit.go(f"proposals/{proposal.id}", "kept")


def _documents(visit: Visit) -> dict[str, bytes]:
    """Return the policies that the form describes.

    Raises:
        AccordError: something is missing or wrong.
    """
    brought = {
        target_path(each.name, each.content): each.content
        for each in visit.files.get("documents", ())
        if each.content
    }
    documents = {**sample_documents(), **brought}
    documents[BOARD] = _board(visit).encode()
    documents[MEMBERS] = enter_keys(
        documents[MEMBERS].decode("utf-8", "replace"),
        network=visit.text("network") or None,
        hub=public_key(visit.text("hub_key")) if visit.text("hub_key") else None,
        freshness=public_key(visit.text("freshness"))
        if visit.text("freshness")
        else None,
        agencies=pasted_keys(visit.text("agencies"), visit.language),
    ).encode()
    return documents


def _board(visit: Visit) -> str:
    members: dict[str, Founder] = {}
    for place in PLACES:
        label = visit.text(f"label_{place}")
        if not label:
            continue
        if label in members:
            raise InvalidQuery(
                "LABEL_TWICE", visit.say("board.page.label-twice", label=label)
            )
        key = visit.text(f"key_{place}").partition(" ")[0]
        if not key.startswith("ed25519:"):
            raise InvalidQuery("KEY_INVALID", visit.say("board.page.key-lines"))
        members[label] = Founder(
            name=visit.text(f"name_{place}") or label,
            organisation=visit.text(f"organisation_{place}"),
            key=public_key(key),
        )
    threshold = visit.text("threshold")
    return board_text(
        board=visit.text("board"),
        threshold=int(threshold) if threshold.isdecimal() else 0,
        members=members,
        seats={
            visit.text(f"seat_{place}"): visit.text(f"holder_{place}")
            for place in SEATS
            if visit.text(f"seat_{place}")
        },
    )


def _form(visit: Visit, problem: AccordError | None = None) -> Response:
    return visit.page(
        "found.html",
        status=HTTPStatus.BAD_REQUEST if problem else HTTPStatus.OK,
        given=visit.fields,
        places=PLACES,
        seats=SEATS,
        problem=problem,
    )
