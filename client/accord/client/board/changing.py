# SPDX-License-Identifier: Apache-2.0
"""The pages to make proposals: an edited document, keys, the end of an agreement."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import Response

from accord.client.board.visit import Visit
from accord.client.policy.agency_keys import pasted_keys
from accord.client.policy.desk import Desk, utc_now
from accord.client.policy.drafting import draft, placed, renewal
from accord.client.policy.entering import enter_keys
from accord.client.policy.folder import target_path
from accord.client.policy.keys import public_key
from accord.core.errors import AccordError, ConfigurationError, InvalidQuery
from accord.core.lint import Finding, errors, lint
from accord.core.policy import BOARD, MEMBERS
from accord.trust.repository import Repository


def choose(visit: Visit) -> Response:
    """Offer the documents that can be changed."""
    with visit.home.desk() as desk:
        documents = sorted(_base(desk).documents())
    return visit.page("choose.html", documents=documents)


def edit(visit: Visit) -> Response:
    """Take an edited document; show what is wrong with it, or the proposal."""
    with visit.home.desk() as desk:
        base = _base(desk)
        documents = base.documents()
        if not visit.posted:
            path = visit.query.get("path", "")
            text = documents.get(path, b"").decode("utf-8", "replace")
            return _form(visit, path, text)
        content = _sent(visit)
        path = target_path(visit.text("path") or _name(visit), content)
        text = content.decode("utf-8", "replace")
        changed = {**documents, path: content}
        problems = errors(lint(changed))
        if problems:
            return _form(visit, path, text, problems)
        try:
            return _keep(visit, desk, base, changed)
        except AccordError as error:
            return _form(visit, path, text, problem=error)


def end(visit: Visit) -> Response:
    """Propose that a document is no longer in force."""
    with visit.home.desk() as desk:
        base = _base(desk)
        documents = base.documents()
        path = visit.text("path")
        if path in (BOARD, MEMBERS) or documents.pop(path, None) is None:
            raise InvalidQuery("DOCUMENT_UNKNOWN", visit.say("board.page.no-document"))
        return _keep(visit, desk, base, documents)


def renew(visit: Visit) -> Response:
    """Propose that signatures last longer."""
    with visit.home.desk() as desk:
        proposal = renewal(
            _base(desk), comment=visit.text("comment"), now=utc_now(), role="board"
        )
        desk.keep(proposal)
    return visit.go(f"proposals/{proposal.id}", "kept")


def enter(visit: Visit) -> Response:
    """Propose that keys are entered in the list of agencies."""
    with visit.home.desk() as desk:
        base = _base(desk)
        documents = base.documents()
        members = enter_keys(
            documents[MEMBERS].decode("utf-8", "replace"),
            agencies=pasted_keys(visit.text("agencies"), visit.language),
            signatories=key_lines(visit, "signatories"),
        )
        documents[MEMBERS] = members.encode()
        return _keep(visit, desk, base, documents)


def key_lines(visit: Visit, field: str) -> dict[str, str]:
    """Read lines of ``LABEL=ed25519:…``.

    Raises:
        InvalidQuery: OPTION_MALFORMED or KEY_INVALID.
    """
    found: dict[str, str] = {}
    for line in visit.text(field).splitlines():
        label, _, key = (part.strip() for part in line.partition("="))
        if not label:
            continue
        if not key.startswith("ed25519:"):
            raise InvalidQuery("OPTION_MALFORMED", visit.say("board.page.key-lines"))
        found[label] = public_key(key)
    return found


def _base(desk: Desk) -> Repository:
    """Return the verified policies in force.

    Raises:
        ConfigurationError: POLICIES_MISSING.
    """
    found = desk.in_force(utc_now())
    if found is None:
        raise ConfigurationError(
            "POLICIES_MISSING", "Nothing is in force yet: found the board first."
        )
    return found


def _sent(visit: Visit) -> bytes:
    """Return the document of a form: the file where one was chosen, else the text."""
    upload = visit.file("document")
    if upload is not None and upload.content:
        return upload.content
    text = visit.fields.get("text", "").replace("\r\n", "\n")
    return (text.rstrip() + "\n").encode()


def _name(visit: Visit) -> str:
    upload = visit.file("document")
    return upload.name if upload is not None else ""


def _form(
    visit: Visit,
    path: str,
    text: str,
    problems: tuple[Finding, ...] = (),
    problem: AccordError | None = None,
) -> Response:
    wrong = bool(problems) or problem is not None
    lines = text.splitlines()
    return visit.page(
        "edit.html",
        status=HTTPStatus.BAD_REQUEST if wrong else HTTPStatus.OK,
        path=path,
        text=text,
        comment=visit.text("comment"),
        problems=[
            (placed(each), _line(lines, each.line) if each.path == path else "")
            for each in problems
        ],
        problem=problem,
    )


def _line(lines: list[str], number: int) -> str:
    """Return a line of the text, since a form shows no numbers."""
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""


def _keep(
    visit: Visit, desk: Desk, base: Repository, documents: Mapping[str, bytes]
) -> Response:
    proposal = draft(base, documents, comment=visit.text("comment"), now=utc_now())
    desk.keep(proposal)
    return visit.go(f"proposals/{proposal.id}", "kept")
