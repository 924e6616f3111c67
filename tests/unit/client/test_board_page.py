# SPDX-License-Identifier: Apache-2.0
"""Who reaches the board's page, and what they can do there."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import re
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest

from accord.client.board import home
from accord.client.board.launcher import write_launcher
from accord.client.board.running import Board
from accord.client.policy import desk
from accord.core.errors import ConfigurationError
from accord.core.messages import direction, sentence
from accord.rpc.loopback import language
from accord.rpc.loopback.guard import MOST_BODY, Session
from accord.rpc.tokens import TokenKind, mint
from accord.trust.keys import new_key, text_of
from tests.unit.client.boards import PASSPHRASE, Office, make_office
from tests.unit.client.test_agency_keys import lines, listed

TEMPLATES = Path(home.__file__).parent / "templates"


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str


@dataclasses.dataclass
class Visitor:
    """A browser, as far as it matters."""

    port: int
    cookie: str = ""

    def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        **headers: str,
    ) -> Answer:
        """Send a request; ``Host`` and all others can be forged."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {"Host": f"127.0.0.1:{self.port}"}
        if self.cookie:
            sent["Cookie"] = self.cookie
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.putrequest(
                method, path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in sent.items():
                connection.putheader(name, value)
            if body is not None and "Content-Length" not in sent:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            found = connection.getresponse()
            text = found.read().decode()
            named = {name.lower(): value for name, value in found.getheaders()}
            return Answer(found.status, named, text)
        finally:
            connection.close()

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        """Send a form."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(fields).encode()
        return self.ask(path, method="POST", body=body, **{**kind, **headers})


@contextmanager
def running(profile: str = "default") -> Iterator[Board]:
    """Serve a page from another thread."""
    board = Board(profile)
    thread = threading.Thread(target=board.run, daemon=True)
    thread.start()
    try:
        yield board
    finally:
        board.close()
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def office(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Office:
    return make_office(tmp_path, monkeypatch, capsys)


@pytest.fixture
def board(office: Office) -> Iterator[Board]:
    assert not (office.folder / "data").exists()
    with running() as served:
        yield served


@pytest.fixture
def stranger(board: Board) -> Visitor:
    """Somebody who knows the port."""
    return Visitor(board.port)


@pytest.fixture
def member(board: Board) -> Visitor:
    """The browser that was let in."""
    return let_in(board)


def let_in(board: Board) -> Visitor:
    found = Visitor(board.port)
    answer = found.ask(board.address.removeprefix(f"http://127.0.0.1:{board.port}"))
    assert answer.status == 200
    found.cookie = answer.headers["set-cookie"].partition(";")[0]
    return found


class TestGuard:
    """Nobody else."""

    def test_it_listens_on_loopback_only(self, board: Board) -> None:
        """Not even on this machine's other addresses."""
        try:
            known = socket.gethostbyname_ex(socket.gethostname())[2]
        except OSError:
            known = []
        for address in {*known, "127.0.0.2"} - {"127.0.0.1"}:
            with socket.socket() as other:
                other.settimeout(2)
                assert other.connect_ex((address, board.port)) != 0

    def test_the_cookie_is_bound_to_this_page(self, board: Board) -> None:
        """Browsers send cookies to every port; the path keeps it here."""
        path = board.address.removeprefix(f"http://127.0.0.1:{board.port}")
        cookie = Visitor(board.port).ask(path).headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert f"Path={board.home.session.base}" in cookie

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "127.0.0.1",
            "127.0.0.1:1",
            "localhost:{port}",
            "127.0.0.1:{port}.evil.example",
            "[::1]:{port}",
            "",
        ],
    )
    def test_other_names_of_this_machine_are_refused(
        self, board: Board, member: Visitor, host: str
    ) -> None:
        """DNS rebinding: a stranger's name that points here."""
        host = host.format(port=board.port)
        answer = member.ask(f"{board.home.session.base}/", Host=host)
        assert answer.status in {400, 421}
        assert "Overview" not in answer.text

    def test_without_the_cookie_there_is_nothing(
        self, board: Board, stranger: Visitor
    ) -> None:
        """Also for those who found out the path."""
        base = board.home.session.base
        assert stranger.ask("/").status == 404
        assert stranger.ask("/enter").status == 404
        for path in ("/", "/keys", "/keys/alice.key", "/propose", "/hub"):
            assert stranger.ask(base + path).status == 403
        stranger.cookie = "accord_board=guess"
        assert stranger.ask(f"{base}/").status == 403

    def test_the_invitation_works_once(self, board: Board, stranger: Visitor) -> None:
        """Who comes second was not the one who was invited; both are out then."""
        member = let_in(board)
        home = f"{board.home.session.base}/"
        assert member.ask(home).status == 200
        used = f"{home}enter?invitation={board.home.session._used}"
        assert member.ask(used).status == 200, "the same browser, reloading"
        assert member.ask(home).status == 200
        assert stranger.ask(used).status == 403
        assert member.ask(home).status == 403

    def test_a_wrong_invitation_changes_nothing(
        self, board: Board, stranger: Visitor
    ) -> None:
        """It is a guess."""
        path = f"{board.home.session.base}/enter"
        assert stranger.ask(f"{path}?invitation=guess").status == 403
        assert stranger.ask(path).status == 403
        let_in(board)

    def test_a_form_without_its_secret_does_nothing(
        self, board: Board, member: Visitor, office: Office
    ) -> None:
        """Another page can send forms here, with the cookie in the worst case."""
        path = f"{board.home.session.base}/keys"
        form = {"name": "mine", "passphrase": PASSPHRASE, "again": PASSPHRASE}
        for secret in ({}, {"form_secret": ""}, {"form_secret": "guess"}):
            answer = member.post(path, form | secret)
            assert answer.status == 403
            assert "FORM_FOREIGN" in answer.text
        assert list(desk.keys_folder().glob("*")) == []
        right = {"form_secret": board.home.session.form_secret}
        assert member.post(path, form | right).status == 200
        assert (desk.keys_folder() / "mine.key").exists()

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:1"},
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "same-site"},
        ],
    )
    def test_a_form_from_elsewhere_does_nothing(
        self, board: Board, member: Visitor, headers: dict[str, str]
    ) -> None:
        """Even with its secret."""
        form = {"form_secret": board.home.session.form_secret}
        path = f"{board.home.session.base}/close"
        assert member.post(path, form, **headers).status == 403
        assert member.ask(f"{board.home.session.base}/").status == 200

    def test_answers_run_nothing_and_load_nothing(
        self, board: Board, member: Visitor, stranger: Visitor
    ) -> None:
        """Refusals included."""
        base = board.home.session.base
        for answer in (member.ask(f"{base}/"), stranger.ask(f"{base}/")):
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "script" not in policy
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "server" not in answer.headers

    @pytest.mark.parametrize("length", [str(MOST_BODY + 1), "9" * 30, "-1", "x"])
    def test_a_body_that_is_too_long_is_not_read(
        self, board: Board, member: Visitor, length: str
    ) -> None:
        """By what it says of itself."""
        path = f"{board.home.session.base}/proposals"
        answer = member.ask(path, method="POST", Content_Length=length)
        assert answer.status in {400, 413}

    def test_a_body_that_does_not_say_how_long_it_is_ends(
        self, board: Board, member: Visitor
    ) -> None:
        """By what comes."""
        base = board.home.session.base
        head = (
            f"POST {base}/proposals HTTP/1.1\r\nHost: 127.0.0.1:{board.port}\r\n"
            f"Cookie: {member.cookie}\r\nTransfer-Encoding: chunked\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        ).encode()
        piece = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
        with socket.create_connection(("127.0.0.1", board.port), timeout=30) as raw:
            raw.sendall(head)
            try:
                for _ in range(MOST_BODY // 0x10000 + 2):
                    raw.sendall(piece)
                answer = raw.recv(100)
            except OSError:
                answer = b""
        assert not answer.startswith(b"HTTP/1.1 2")
        assert member.ask(f"{base}/").status == 200

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE"])
    def test_other_methods_are_refused(
        self, board: Board, member: Visitor, method: str
    ) -> None:
        """There is nothing to do with them."""
        assert member.ask(f"{board.home.session.base}/", method=method).status == 405

    def test_secrets_are_in_no_repr(self) -> None:
        """Nor in a log by way of it."""
        session = Session(cookie_name="accord_board")
        assert session.form_secret not in repr(session)
        assert str(session._invitation) not in repr(session)

    @pytest.mark.parametrize(
        "path",
        ["keys/../../config.key", "keys/%2e%2e%2f%2e%2e%2fx.key", "documents//etc"],
    )
    def test_no_file_of_the_machine_is_served(
        self, board: Board, member: Visitor, path: str
    ) -> None:
        """Names are looked up, never opened."""
        answer = member.ask(f"{board.home.session.base}/{path}")
        assert answer.status in {404, 409}


class TestPages:
    """Without a hub."""

    def test_a_key_is_made_and_can_be_copied(
        self, board: Board, member: Visitor
    ) -> None:
        """Sealed as it is; the passphrase is nowhere."""
        base = board.home.session.base
        form = {"form_secret": board.home.session.form_secret, "name": "alice"}
        differ = form | {"passphrase": PASSPHRASE, "again": PASSPHRASE + "!"}
        answer = member.post(f"{base}/keys", differ)
        assert answer.status == 400
        assert "PASSPHRASES_DIFFER" in answer.text
        assert PASSPHRASE not in answer.text
        made = member.post(
            f"{base}/keys", form | {"passphrase": PASSPHRASE, "again": PASSPHRASE}
        )
        assert made.status == 200
        assert re.search(r"ed25519:[0-9a-f]{64}", made.text)
        assert PASSPHRASE not in made.text
        copy = member.ask(f"{base}/keys/alice.key")
        assert copy.text.startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
        assert copy.headers["content-disposition"].startswith("attachment")

    def test_what_was_typed_is_escaped(self, board: Board, member: Visitor) -> None:
        """In a field that comes back."""
        form = {
            "form_secret": board.home.session.form_secret,
            "hub": '"><script>alert(1)</script>',
            "token": "x",
        }
        answer = member.post(f"{board.home.session.base}/hub", form)
        assert answer.status == 400
        assert "<script" not in answer.text
        assert "&lt;script&gt;" in answer.text

    def test_a_hub_that_does_not_answer_is_said(
        self, board: Board, member: Visitor, office: Office
    ) -> None:
        """And nothing of it is kept."""
        token = str(mint(TokenKind.ANALYST, bytes(32)))
        form = {
            "form_secret": board.home.session.form_secret,
            "hub": "127.0.0.1:1",
            "token": token,
        }
        answer = member.post(f"{board.home.session.base}/hub", form)
        assert "HUB_UNREACHABLE" in answer.text
        assert token not in answer.text
        assert board.home.profile() is None

    def test_an_agencys_key_alone_is_refused_with_what_is_missing(
        self, board: Board, member: Visitor
    ) -> None:
        """All of its lines pasted together are taken."""
        keys = listed(text_of(new_key()))
        form = {
            "form_secret": board.home.session.form_secret,
            "board": "first",
            "label_1": "alice",
            "key_1": text_of(new_key()),
            "threshold": "1",
            "hub_key": text_of(new_key()),
            "freshness": text_of(new_key()),
            "comment": "x",
        }
        path = f"{board.home.session.base}/found"
        alone = member.post(path, form | {"agencies": f"city-police={keys.key}"})
        assert alone.status == 400
        assert "AGENCY_KEYS_INCOMPLETE" in alone.text
        assert "the following is missing: exchange:" in alone.text
        pasted = member.post(path, form | {"agencies": f"city-police:\n{lines(keys)}"})
        assert "HUB_NOT_SET_UP" in pasted.text, "the next thing that is missing"
        assert keys.exchange in pasted.text, "what was typed comes back"

    def test_pages_that_need_a_hub_say_so(self, board: Board, member: Visitor) -> None:
        """With a way on."""
        for path in ("propose", "board", "proposals/" + "0" * 64):
            answer = member.ask(f"{board.home.session.base}/{path}")
            assert answer.status == 409
            assert "HUB_NOT_SET_UP" in answer.text

    def test_the_close_button_ends_the_program(self, office: Office) -> None:
        """After its answer."""
        served = Board("default")
        thread = threading.Thread(target=served.run)
        thread.start()
        member = let_in(served)
        form = {"form_secret": served.home.session.form_secret}
        answer = member.post(f"{served.home.session.base}/close", form)
        assert answer.status == 200
        thread.join(30)
        assert not thread.is_alive()

    def test_a_port_that_is_taken_is_said(self, board: Board) -> None:
        """In a sentence."""
        with pytest.raises(ConfigurationError) as caught:
            Board("default", board.port)
        assert caught.value.reason == "PORT_TAKEN"


class TestTexts:
    """All sentences are in the catalogue."""

    def test_every_sentence_of_the_pages_is_there(self) -> None:
        """Templates and program name ids that exist."""
        folder = TEMPLATES.parent
        sources = [*TEMPLATES.glob("*.html"), *folder.glob("*.py")]
        sources += folder.parent.glob("policy/*.py")
        sources += folder.parent.glob("cli/**/*.py")
        found: set[str] = set()
        for path in sources:
            text = path.read_text("utf-8")
            found |= set(re.findall(r"[\"'](board(?:\.[a-z-]+)+)[\"']", text))
        assert len(found) > 150
        for message in found - {"board.yaml", "board.html", "board.page"}:
            known(message)
        for name in home.DONE:
            known(f"board.done.{name}")
        for state in ("draft", "waiting", "complete", "published"):
            known(f"board.state.{state}")

    def test_templates_hold_no_script_and_no_sentence(self) -> None:
        """Nor anything from elsewhere."""
        for path in TEMPLATES.glob("*.html"):
            text = path.read_text("utf-8")
            assert not re.search(r"<script|style=|\son\w+=|https?://|\|\s*safe", text)
            words = re.sub(r"\{[{%#].*?[}%#]\}|<[^>]*>", " ", text, flags=re.DOTALL)
            assert not re.search(r"[a-z]{3,} [a-z]{2,} [a-z]{2,}", words), path.name

    @pytest.mark.parametrize(
        ("header", "expected"),
        [
            ("", "en"),
            ("en-GB,en;q=0.9", "en"),
            ("xx,en;q=0.1", "en"),
            ("en;q=0", "en"),
            ("en;q=much", "en"),
            ("," * 100_000, "en"),
        ],
    )
    def test_languages_are_chosen_from_those_there_are(
        self, header: str, expected: str
    ) -> None:
        """Whatever a browser sends."""
        assert language.wanted(header) == expected

    def test_arabic_would_run_from_the_right(self) -> None:
        """Once there is a catalogue."""
        assert direction("ar") == "rtl"
        assert direction("en") == "ltr"


def known(message: str) -> None:
    with contextlib.suppress(KeyError):  # It has values.
        sentence(message)


@pytest.mark.parametrize(
    ("system", "name", "words"),
    [
        ("linux", "accord-board.desktop", "Terminal=false"),
        ("darwin", "Accord board.command", "exec "),
        ("win32", "Accord board.cmd", "@start"),
    ],
)
def test_there_is_something_to_double_click(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, name: str, words: str
) -> None:
    """On every system; it starts this very installation."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    path = write_launcher(system)
    assert path.name == name
    assert path.is_relative_to(tmp_path)
    text = path.read_text("utf-8")
    assert words in text
    assert "accord.client.cli board" in text
    assert str(Path(sys.executable).parent) in text


def test_a_strange_path_is_quoted_for_the_desktop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Percent signs and dollars would be read otherwise."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "executable", '/a b$c%d"e\\f/python')
    text = write_launcher("linux").read_text("utf-8")
    assert 'Exec="/a b\\\\$c%%d\\\\"e\\\\\\\\f/python" -m accord' in text
