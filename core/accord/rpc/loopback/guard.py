# SPDX-License-Identifier: Apache-2.0
"""Who may reach the page: the browser that the program opened, and no other.

Other programs, other users of the machine and other pages in the same browser can all
send requests to a port on loopback. So:

1. The port is bound on loopback only, and other ``Host`` names are refused, so that no
   name that somebody points at this machine (DNS rebinding) becomes an origin.
2. Everything lies below a path of this run that nobody can guess. The cookie is bound
   to it, because browsers send cookies to every port of a host.
3. A secret in the opened address works once and is traded for that cookie, which is
   HttpOnly and SameSite=Strict. Shown a second time by somebody without the cookie, it
   ends the session: one of the two was not invited.
4. Requests that change something come from the page itself: by ``Origin`` and
   ``Sec-Fetch-Site`` where a browser sends them, and by a secret in each form.
5. Pages may load nothing but the style sheet, and run nothing.
"""

from __future__ import annotations

import dataclasses
import hmac
import secrets
from collections.abc import Callable, Iterable, Mapping
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ENTER = "enter"
"""Where the secret of the opened address is traded for a cookie."""

MOST_BODY = 4 << 20
"""Bytes of one request, where a page does not say otherwise."""

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; img-src 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


@dataclasses.dataclass(slots=True, kw_only=True)
class Session:
    """The secrets of one run; there is one browser."""

    cookie_name: str
    """Tells the pages of different programs apart; a browser keeps one jar for all."""
    path: str = dataclasses.field(default_factory=lambda: secrets.token_urlsafe(16))
    _invitation: str | None = dataclasses.field(
        default_factory=lambda: secrets.token_urlsafe(32), repr=False
    )
    _used: str | None = dataclasses.field(default=None, repr=False)
    _cookie: str | None = dataclasses.field(default=None, repr=False)
    form_secret: str = dataclasses.field(
        default_factory=lambda: secrets.token_urlsafe(32), repr=False
    )

    on_entry: Callable[[], object] = dataclasses.field(default=lambda: None, repr=False)
    """Called when the browser has been let in."""

    @property
    def base(self) -> str:
        """Path below which everything lies."""
        return f"/{self.path}"

    def address(self, port: int) -> str:
        """Return what to open, with the secret that works once."""
        return (
            f"http://127.0.0.1:{port}{self.base}/{ENTER}?invitation={self._invitation}"
        )

    def enter(self, invitation: str) -> str | None:
        """Trade the invitation for a cookie's value; a used one ends the session."""
        if self._invitation is not None and _same(invitation, self._invitation):
            self._used, self._invitation = self._invitation, None
            self._cookie = secrets.token_urlsafe(32)
            self.on_entry()
            return self._cookie
        if self._used is not None and _same(invitation, self._used):
            self._cookie = None
        return None

    def knows(self, cookie: str | None) -> bool:
        """Tell whether a request comes from the browser that was let in."""
        return (
            cookie is not None
            and self._cookie is not None
            and _same(cookie, self._cookie)
        )

    def wrote(self, form_secret: object) -> bool:
        """Tell whether a form is one of ours."""
        return isinstance(form_secret, str) and _same(form_secret, self.form_secret)


class Guard:
    """Lets requests of the one browser through, and marks every answer."""

    def __init__(
        self,
        app: ASGIApp,
        session: Session,
        port: int,
        *,
        open_to_all: Iterable[str] = (),
        most_body: int = MOST_BODY,
    ) -> None:
        """Guard *app*, which listens on *port*.

        Args:
            app: answers below the session's path.
            session: of the one browser.
            port: of loopback.
            open_to_all: names below the path that need no cookie, such as a style
                sheet.
            most_body: bytes of one request.
        """
        self._app = app
        self._session = session
        self._host = f"127.0.0.1:{port}"
        self._open = {f"{session.base}/{name}" for name in (ENTER, *open_to_all)}
        self._most_body = most_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] != "http":
            return
        marked = _marking(send)
        refusal = self._refusal(scope, Headers(scope=scope))
        if refusal is not None:
            await refusal(scope, receive, marked)
            return
        scope["accord_known"] = self._known(Headers(scope=scope))
        await self._app(scope, _limited(receive, self._most_body), marked)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        path, method = scope["path"], scope["method"]
        length = headers.get("content-length", "0")
        checks = (
            (headers.getlist("host") == [self._host], 421, _NOT_THIS_HOST),
            (path.startswith(f"{self._session.base}/"), 404, _NOTHING),
            (path in self._open or self._known(headers), 403, _UNINVITED),
            (method in {"GET", "HEAD", "POST"}, 405, _NOTHING),
            (method != "POST" or self._from_here(headers), 403, _FOREIGN),
            (_is_size(length, self._most_body), 413, _TOO_LARGE),
        )
        for passed, status, text in checks:
            if not passed:
                return PlainTextResponse(text + "\n", status)
        return None

    def _known(self, headers: Headers) -> bool:
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(
                self._session.cookie_name
            )
        except CookieError:
            return False
        return self._session.knows(cookie.value if cookie is not None else None)

    def _from_here(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        site = headers.get("sec-fetch-site")
        return origin in {None, f"http://{self._host}"} and site in {
            None,
            "same-origin",
        }


_NOT_THIS_HOST = "This page answers to its own address only."
_NOTHING = "There is nothing here."
_UNINVITED = (
    "This page belongs to the browser that its program opened. Start the program again "
    "to open a new one."
)
_FOREIGN = "This form was sent by another page."
_TOO_LARGE = "This is more than the page takes."


def _is_size(length: str, most: int) -> bool:
    digits = length.isascii() and length.isdigit() and len(length) <= len(str(most))
    return digits and int(length) <= most


def _marking(send: Send) -> Send:
    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        await send(message)

    return marked


class TooLargeError(Exception):
    """A body without an honest length went on for too long."""


def _limited(receive: Receive, most: int) -> Receive:
    left = most

    async def limited() -> Message:
        nonlocal left
        message = await receive()
        if message["type"] == "http.request":
            left -= len(message.get("body", b""))
            if left < 0:
                raise TooLargeError
        return message

    return limited


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
