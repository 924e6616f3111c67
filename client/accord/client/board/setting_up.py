# SPDX-License-Identifier: Apache-2.0
"""The pages of the first day: the hub, the board, one's own key."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import Response

from accord.client.board.visit import Visit
from accord.client.policy.desk import keys_folder
from accord.client.policy.keys import make_key
from accord.core.errors import AccordError, InvalidQuery, NotFound


def hub(visit: Visit) -> Response:
    """Say where the hub is, and with which token."""
    known = visit.home.profile()
    has_token = known is not None
    if not visit.posted:
        address = known.hub if known else ""
        return visit.page("hub.html", address=address, has_token=has_token)
    token = visit.text("token") or (known.token if known else "")
    try:
        visit.home.save_hub(visit.text("hub"), token)
    except AccordError as error:
        return visit.page(
            "hub.html",
            status=HTTPStatus.BAD_REQUEST,
            address=visit.text("hub"),
            has_token=has_token,
            problem=error,
        )
    return visit.go("", "hub")


def board(visit: Visit) -> Response:
    """Confirm the board by six words that another member tells, once."""
    with visit.home.desk() as desk:
        if not visit.posted:
            shown = desk.board() if desk.is_confirmed() else desk.shown_board()
            return visit.page("board.html", board=shown, confirmed=desk.is_confirmed())
        try:
            desk.confirm(visit.text("words"))
        except AccordError as error:
            return visit.page(
                "board.html",
                status=HTTPStatus.BAD_REQUEST,
                board=desk.shown_board(),
                confirmed=False,
                problem=error,
            )
    return visit.go("", "board")


def keys(visit: Visit) -> Response:
    """Show one's own keys, or make one."""
    made, problem = None, None
    if visit.posted:
        try:
            if visit.fields.get("passphrase") != visit.fields.get("again"):
                raise InvalidQuery(
                    "PASSPHRASES_DIFFER", visit.say("board.page.passphrases-differ")
                )
            made = make_key(
                keys_folder(), visit.text("name"), visit.fields.get("passphrase", "")
            )
        except AccordError as error:
            problem = error
    listed = [
        (path.stem, _public(path.with_suffix(".pub").name))
        for path in visit.home.key_files()
    ]
    return visit.page(
        "keys.html",
        status=HTTPStatus.BAD_REQUEST if problem else HTTPStatus.OK,
        keys=listed,
        folder=str(keys_folder()),
        made=made,
        name=visit.text("name") if problem else "",
        problem=problem,
    )


def key_file(visit: Visit) -> Response:
    """Give out a copy of a key file, sealed as it is."""
    name = visit.where["name"]
    found = next((path for path in visit.home.key_files() if path.stem == name), None)
    if found is None:
        raise NotFound("KEY_UNKNOWN", visit.say("board.page.no-key"))
    return Response(
        found.read_bytes(),
        media_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="{found.name}"'},
    )


def _public(name: str) -> str:
    try:
        return (keys_folder() / name).read_text("utf-8").split(maxsplit=1)[0]
    except (OSError, UnicodeDecodeError, IndexError):
        return ""
