# SPDX-License-Identifier: Apache-2.0
"""One request: what was sent, and how answers are made of templates."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import jinja2
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from accord.client.board.guard import TooLargeError
from accord.client.board.home import Home
from accord.client.board.language import wanted
from accord.core.errors import AccordError, InternalError, PolicyDenied
from accord.core.messages import direction, sentence

MOST_FILES = 60
MOST_FIELDS = 100
LONGEST_FIELD = 1_000_000

STATUS = {
    "INVALID_ARGUMENT": HTTPStatus.BAD_REQUEST,
    "UNAUTHENTICATED": HTTPStatus.FORBIDDEN,
    "PERMISSION_DENIED": HTTPStatus.FORBIDDEN,
    "NOT_FOUND": HTTPStatus.NOT_FOUND,
    "ALREADY_EXISTS": HTTPStatus.CONFLICT,
    "FAILED_PRECONDITION": HTTPStatus.CONFLICT,
    "UNAVAILABLE": HTTPStatus.BAD_GATEWAY,
    "DEADLINE_EXCEEDED": HTTPStatus.GATEWAY_TIMEOUT,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Upload:
    """A file that was sent."""

    name: str
    content: bytes = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request, read."""

    home: Home
    language: str
    where: Mapping[str, str]
    """Parts of the path."""
    query: Mapping[str, str]
    fields: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    files: Mapping[str, tuple[Upload, ...]] = dataclasses.field(
        default_factory=dict, repr=False
    )

    @property
    def posted(self) -> bool:
        """Whether a form was sent."""
        return bool(self.fields)

    def text(self, name: str) -> str:
        """Return a field without blanks around it; empty where it was not sent."""
        return self.fields.get(name, "").strip()

    def file(self, name: str) -> Upload | None:
        """Return the one file of a field, if one was chosen."""
        return next(iter(self.files.get(name, ())), None)

    def say(self, message_id: str, **values: object) -> str:
        """Return a sentence in the visitor's language."""
        return sentence(message_id, self.language, **values)

    def page(
        self,
        template: str,
        *,
        status: int = HTTPStatus.OK,
        **values: Any,  # noqa: ANN401 - a template takes anything
    ) -> Response:
        """Render a template."""
        done = self.query.get("done", "")
        content = {
            "t": self.say,
            "lang": self.language,
            "dir": direction(self.language),
            "base": self.home.session.base,
            "form_secret": self.home.session.form_secret,
            "done": done if done in DONE else None,
            "problem": None,
            **values,
        }
        html = templates().get_template(template).render(content)
        return HTMLResponse(html, status)

    def problem(self, error: AccordError) -> Response:
        """Render what went wrong."""
        status = STATUS.get(error.code, HTTPStatus.INTERNAL_SERVER_ERROR)
        return self.page("problem.html", status=status, problem=error)

    def go(self, path: str, done: str = "") -> Response:
        """Send the browser on after a form, so that going back sends nothing twice."""
        query = f"?done={done}" if done else ""
        return RedirectResponse(
            f"{self.home.session.base}/{path}{query}", HTTPStatus.SEE_OTHER
        )


DONE = frozenset({"hub", "board", "signed", "kept", "offered", "published"})
"""What a page can say about the form before it."""

View = Callable[[Visit], Response]


@functools.cache
def templates() -> jinja2.Environment:
    """Return the templates; every value that they print is escaped."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("accord.client.board"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def endpoint(home: Home, view: View) -> Callable[[Request], Awaitable[Response]]:
    """Return what Starlette calls: reads the request, runs *view* in a thread.

    Nothing leaves it as an exception, whose text could hold what a form held.
    """

    async def answer(request: Request) -> Response:
        visit = Visit(
            home=home,
            language=wanted(request.headers.get("accept-language", "")),
            where={str(name): str(part) for name, part in request.path_params.items()},
            query=dict(request.query_params),
        )
        try:
            if request.method == "POST":
                visit = await _with_form(request, visit)
            return await run_in_threadpool(view, visit)
        except AccordError as error:
            return visit.problem(error)
        except (TooLargeError, HTTPException):
            denied = PolicyDenied("FORM_TOO_LARGE", visit.say("board.page.too-large"))
            return visit.problem(denied)
        except Exception as error:  # noqa: BLE001 - the boundary of the page
            sorry = visit.say("board.page.mistake", kind=type(error).__name__)
            return visit.problem(InternalError("INTERNAL_ERROR", sorry))

    return answer


async def _with_form(request: Request, visit: Visit) -> Visit:
    """Read a form that is one of ours.

    Raises:
        PolicyDenied: FORM_FOREIGN.
    """
    fields: dict[str, str] = {}
    files: dict[str, list[Upload]] = {}
    async with request.form(
        max_files=MOST_FILES, max_fields=MOST_FIELDS, max_part_size=LONGEST_FIELD
    ) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                content = await value.read()
                if value.filename or content:
                    upload = Upload(value.filename or "", content)
                    files.setdefault(name, []).append(upload)
            else:
                fields.setdefault(name, value)
    if not visit.home.session.wrote(fields.get("form_secret")):
        raise PolicyDenied("FORM_FOREIGN", visit.say("board.page.foreign-form"))
    sent: dict[str, Any] = {name: tuple(each) for name, each in files.items()}
    return dataclasses.replace(visit, fields=fields, files=sent)
