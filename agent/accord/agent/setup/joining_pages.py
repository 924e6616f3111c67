# SPDX-License-Identifier: Apache-2.0
"""The pages that make a member of the agency: keys for the board, and the enrolment."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import Response

from accord.agent.enrolment import named_board
from accord.agent.keys.public import key_lines
from accord.agent.network.enrol import enrol as join_hub
from accord.agent.network.identity import IdentityFiles
from accord.agent.setup.source_pages import Visit, steps
from accord.core.errors import AccordError, InvalidQuery
from accord.rpc.address import parse_address

KEYS_FILE = "agency.keys"


def keys(found: Visit) -> Response:
    """Show the public keys that the board has to get."""
    return found.page("keys.html", steps=steps(found, "keys"), lines=_lines(found))


def keys_file(found: Visit) -> Response:
    """Give them out as a file."""
    return Response(
        "\n".join(_lines(found)) + "\n",
        media_type="text/plain; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{KEYS_FILE}"'},
    )


def _lines(found: Visit) -> list[str]:
    return list(key_lines(found.home.state.secret_keys("").public))


def enrol(found: Visit) -> Response:
    """Join a hub with a token, and pin the board by its six words."""
    problem: AccordError | None = None
    if found.posted:
        try:
            with found.home.turn:
                _join(found)
            return found.go("finished", "joined")
        except AccordError as error:
            problem = error
    return found.page(
        "enrol.html",
        status=HTTPStatus.BAD_REQUEST if problem else HTTPStatus.OK,
        steps=steps(found, "enrol"),
        joined=found.home.membership(),
        hub=found.text("hub"),
        words=found.text("words"),
        problem=problem,
    )


def _join(found: Visit) -> None:
    words = found.text("words")
    if not words:
        raise InvalidQuery("SETUP_WORDS_OPEN", found.say("setup.enrol.words-open"))
    state = found.home.state
    join_hub(
        IdentityFiles(state.keys),
        parse_address(found.text("hub")),
        found.text("token"),
        agency_key=state.agency_key(),
        policies=state.policies,
        confirm=named_board(words),
    )


def finished(found: Visit) -> Response:
    """Say what comes next."""
    return found.page(
        "finished.html",
        steps=steps(found, ""),
        joined=found.home.membership(),
        stored=found.home.has_store(),
        root=str(found.home.state.root),
    )
