# SPDX-License-Identifier: Apache-2.0
"""One request: what was sent, and how answers are made of templates."""

from __future__ import annotations

import dataclasses
import importlib.resources
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Generic, Protocol, Self, TypeVar

import jinja2
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from accord.core.errors import AccordError, InternalError, PolicyDenied
from accord.core.messages import direction, sentence
from accord.rpc.loopback.guard import ENTER, Session, TooLargeError
from accord.rpc.loopback.language import wanted

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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What all pages of one program share."""

    subject: str
    """Catalogue of its sentences; its languages are those of the pages."""
    sentences: str
    """Ids of the sentences that every page needs: this with ``.too-large``,
    ``.mistake`` and ``.foreign-form`` behind it."""
    templates: jinja2.Environment
    """``problem.html`` and ``uninvited.html`` are among them."""
    done: frozenset[str] = frozenset()
    """What a page can say about the form before it."""
    most_files: int = 60
    most_fields: int = 100
    longest_field: int = 1_000_000


class Home(Protocol):
    """What one run of a page has in its hands."""

    @property
    def session(self) -> Session:
        """Secrets of this run."""

    @property
    def frame(self) -> Frame:
        """How it looks and speaks."""


H = TypeVar("H", bound=Home)


@dataclasses.dataclass(frozen=True, slots=True)
class Upload:
    """A file that was sent."""

    name: str
    content: bytes = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Visit(Generic[H]):
    """A request, read."""

    home: H
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
        frame = self.home.frame
        done = self.query.get("done", "")
        content = {
            "t": self.say,
            "lang": self.language,
            "dir": direction(self.language),
            "subject": frame.subject,
            "base": self.home.session.base,
            "form_secret": self.home.session.form_secret,
            "done": done if done in frame.done else None,
            "problem": None,
            **values,
        }
        html = frame.templates.get_template(template).render(content)
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

    def with_form(
        self, fields: Mapping[str, str], files: Mapping[str, tuple[Upload, ...]]
    ) -> Self:
        """Return the same request with what its form held."""
        return dataclasses.replace(self, fields=fields, files=files)


def templates_of(*packages: str) -> jinja2.Environment:
    """Return the templates of *packages*, the first one's before the next one's.

    ``parts.html``, what many pages have, is behind them. Every value that they print is
    escaped.
    """
    loaders = [jinja2.PackageLoader(name) for name in (*packages, __package__)]
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def endpoint(
    home: H, view: Callable[[Visit[H]], Response]
) -> Callable[[Request], Awaitable[Response]]:
    """Return what Starlette calls: reads the request, runs *view* in a thread.

    Nothing leaves it as an exception, whose text could hold what a form held.
    """

    def say(visit: Visit[H], ending: str, **values: object) -> str:
        return visit.say(f"{home.frame.sentences}.{ending}", **values)

    async def answer(request: Request) -> Response:
        accept = request.headers.get("accept-language", "")
        visit = Visit(
            home=home,
            language=wanted(accept, home.frame.subject),
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
            denied = PolicyDenied("FORM_TOO_LARGE", say(visit, "too-large"))
            return visit.problem(denied)
        except Exception as error:  # noqa: BLE001 - the boundary of the page
            sorry = say(visit, "mistake", kind=type(error).__name__)
            return visit.problem(InternalError("INTERNAL_ERROR", sorry))

    return answer


def entrance(home: H) -> Callable[[Request], Awaitable[Response]]:
    """Return what trades the secret of the opened address for a cookie."""
    session = home.session

    async def enter(request: Request) -> Response:
        # Not by a status: who was led here by a file or a program would be led on as a
        # stranger, and the browser keep the cookie back.
        answer = HTMLResponse(_ENTERED.format(path=f"{session.base}/"))
        if request.scope.get("accord_known"):
            return answer
        cookie = session.enter(request.query_params.get("invitation", ""))
        if cookie is None:
            return Visit(home=home, language="en", where={}, query={}).page(
                "uninvited.html", status=HTTPStatus.FORBIDDEN
            )
        answer.set_cookie(
            session.cookie_name,
            cookie,
            path=session.base,
            httponly=True,
            samesite="strict",
        )
        return answer

    return enter


_ENTERED = """\
<!doctype html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={path}">
<title>Accord</title>
"""

STYLE = {"page.css": "text/css", "page.svg": "image/svg+xml"}
"""How all pages look. Needs no cookie: it is the same for everybody."""


def entry_routes(home: H) -> list[Route]:
    """Return what every page answers beside its own: the entrance, and its looks."""
    package = importlib.resources.files(__package__)
    return [
        Route(f"/{ENTER}", entrance(home)),
        *(
            Route(f"/{name}", _shipped(package.joinpath(name).read_bytes(), kind))
            for name, kind in STYLE.items()
        ),
    ]


def _shipped(content: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def given(_: Request) -> Response:
        return Response(content, media_type=kind)

    return given


async def _with_form(request: Request, visit: Visit[H]) -> Visit[H]:
    """Read a form that is one of ours.

    Raises:
        PolicyDenied: FORM_FOREIGN.
    """
    frame = visit.home.frame
    fields: dict[str, str] = {}
    files: dict[str, list[Upload]] = {}
    async with request.form(
        max_files=frame.most_files,
        max_fields=frame.most_fields,
        max_part_size=frame.longest_field,
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
        raise PolicyDenied("FORM_FOREIGN", visit.say(f"{frame.sentences}.foreign-form"))
    return visit.with_form(fields, {name: tuple(each) for name, each in files.items()})
