# SPDX-License-Identifier: Apache-2.0
"""The page that sets an agent up: who reaches it, and what becomes of what is sent."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import html
import http.client
import json
import re
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlencode

import pytest
from babel.messages.pofile import read_po

from accord.agent.intake.codes import Reason
from accord.agent.intake.parts import parts_of
from accord.agent.page.frame import AgentPage
from accord.agent.setup import home as homes
from accord.agent.setup.home import DONE, STEPS, SetupHome
from accord.agent.setup.pages import setup_page
from accord.agent.state import AgentState
from accord.core.messages import sentence
from tests.conftest import ROOT
from tests.unit.agent.agencies import new_state
from tests.unit.agent.case_files import (
    SECRET_NAMES,
    SECRET_NOTES,
    columns,
    refuge,
)
from tests.unit.rpc.hub_double import running_hub

TEMPLATES = Path(homes.__file__).parent / "templates"
FRAME = TEMPLATES.parent.parent / "page" / "templates"
LOCALE = ROOT / "core" / "accord" / "core" / "locale"


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def words(self) -> str:
        """What a person reads, without marks and line ends."""
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", self.text)).split())


@dataclasses.dataclass
class Visitor:
    """A browser, as far as it matters."""

    page: AgentPage
    cookie: str = ""
    language: str = "en"
    source: str = ""
    """As the newest form has it."""

    @property
    def base(self) -> str:
        return self.page.home.session.base

    def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        **headers: str,
    ) -> Answer:
        """Send a request; every header can be forged."""
        port = self.page.port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        sent = {"Host": f"127.0.0.1:{port}", "Accept-Language": self.language}
        if self.cookie:
            sent["Cookie"] = self.cookie
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        with contextlib.closing(connection):
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
            if shown := re.search('name="source" value="([^"]+)"', text):
                self.source = shown[1]
            return Answer(found.status, named, text)

    def see(self, path: str) -> Answer:
        """Load a page."""
        return self.ask(f"{self.base}/{path}")

    def post(self, path: str, fields: Mapping[str, str], **headers: str) -> Answer:
        """Send a form, and load where it leads."""
        secret = {
            "form_secret": self.page.home.session.form_secret,
            "source": self.source,
        }
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = self.ask(
            f"{self.base}/{path}",
            method="POST",
            body=urlencode({**secret, **fields}).encode(),
            **{**kind, **headers},
        )
        return self.ask(answer.headers["location"]) if answer.status == 303 else answer

    def send_file(self, name: str, content: bytes) -> Answer:
        """Send a file, as a browser does."""
        mark = uuid.uuid4().hex
        parts = [
            f'--{mark}\r\nContent-Disposition: form-data; name="form_secret"\r\n\r\n'
            f"{self.page.home.session.form_secret}\r\n".encode(),
            f'--{mark}\r\nContent-Disposition: form-data; name="path"\r\n'.encode(),
            b"\r\n\r\n",
            f'--{mark}\r\nContent-Disposition: form-data; name="file"; '
            f'filename="{name}"\r\nContent-Type: text/csv\r\n\r\n'.encode(),
            content,
            f"\r\n--{mark}--\r\n".encode(),
        ]
        answer = self.ask(
            f"{self.base}/",
            method="POST",
            body=b"".join(parts),
            Content_Type=f"multipart/form-data; boundary={mark}",
        )
        return self.ask(answer.headers["location"]) if answer.status == 303 else answer


@pytest.fixture
def state(tmp_path: Path) -> AgentState:
    return new_state(tmp_path / "state")


@contextlib.contextmanager
def running(state: AgentState) -> Iterator[AgentPage]:
    """Serve a page from another thread."""
    with setup_page(state) as page:
        thread = threading.Thread(target=page.run, daemon=True)
        thread.start()
        try:
            yield page
        finally:
            page.close()
            thread.join(30)
            assert not thread.is_alive()


@pytest.fixture
def page(state: AgentState) -> Iterator[AgentPage]:
    with running(state) as served:
        yield served


@pytest.fixture
def staff(page: AgentPage) -> Visitor:
    """The browser that was let in."""
    return let_in(page)


def let_in(page: AgentPage, language: str = "en") -> Visitor:
    found = Visitor(page, language=language)
    answer = found.ask(page.address.removeprefix(f"http://127.0.0.1:{page.port}"))
    assert answer.status == 200
    found.cookie = answer.headers["set-cookie"].partition(";")[0]
    return found


def asked_codes(found: Answer) -> list[str]:
    """Return what a page calls the codes that it asks for."""
    return re.findall(r'name="(code-[^"]+)"', found.text)


class TestGuard:
    """The same one as the board's page has; here is that it is in place."""

    def test_strangers_see_nothing(self, page: AgentPage) -> None:
        stranger = Visitor(page)
        paths = ("", "columns", "codes", "check", "keys", "agency.keys", "enrol")
        for path in paths:
            assert stranger.see(path).status == 403
        assert stranger.ask("/").status == 404
        assert stranger.post("store", {}).status == 403
        assert stranger.see("page.css").status == 200

    def test_other_names_and_foreign_forms_are_refused(self, staff: Visitor) -> None:
        assert staff.ask(f"{staff.base}/", Host="rebound.example.org").status == 421
        foreign = staff.post("store", {}, Origin="http://elsewhere.example.org")
        assert foreign.status == 403
        assert staff.post("keys", {}).status == 405
        wrong = staff.post("", {"form_secret": "guessed", "path": "/etc/passwd"})
        assert wrong.status == 403
        assert "FORM_FOREIGN" in wrong.text

    def test_the_address_works_once(self, page: AgentPage, staff: Visitor) -> None:
        assert staff.see("").status == 200
        session = page.home.session
        used = f"{session.base}/enter?invitation={session._used}"
        assert Visitor(page).ask(used).status == 403
        assert staff.see("").status == 403

    def test_pages_load_nothing_from_elsewhere(self, staff: Visitor) -> None:
        answer = staff.see("")
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert answer.headers["cache-control"] == "no-store"
        for path in ("", "keys", "enrol", "finished"):
            text = staff.see(path).text
            for target in re.findall(r'(?:src|href|action)="([^"]*)"', text):
                assert target.startswith((staff.base, "#")), target

    def test_a_form_that_is_too_large_is_refused(self, staff: Visitor) -> None:
        answer = staff.ask(
            f"{staff.base}/",
            method="POST",
            Content_Length=str(homes.MOST_UPLOADED * 2),
        )
        assert answer.status == 413

    def test_its_button_ends_it(self, state: AgentState) -> None:
        with setup_page(state) as page:
            thread = threading.Thread(target=page.run, daemon=True)
            thread.start()
            assert let_in(page).post("close", {}).status == 200
            thread.join(30)
            assert not thread.is_alive()


class TestSteps:
    """From a file to a store."""

    def test_a_whole_first_day_without_a_terminal(
        self, staff: Visitor, state: AgentState, tmp_path: Path
    ) -> None:
        content = refuge(tmp_path / "refugio.csv").read_bytes()
        found = staff.send_file("C:\\Users\\x\\refugio.csv", content)
        assert "What the columns mean" in found.words
        assert "Nombre, Apellidos, Fecha de nacimiento" in found.words
        uses = re.findall(r'name="(use-[a-z_]+)"', found.text)
        assert "use-gender" in uses
        answer = {use: "yes" for use in uses if use != "use-citizenship"}
        assert staff.post("columns", answer).status == 400
        found = staff.post("columns", {**answer, "person": "0"})
        assert "Rarísimo" in found.words
        # No answer leaves it open, and so does one that is no value.
        (code,) = asked_codes(found)
        assert "Rarísimo" in staff.post("codes", {code: ""}).words
        assert "Rarísimo" in staff.post("codes", {code: "nonsense"}).words
        found = staff.post("codes", {code: "other"})
        assert "What would be stored" in found.words
        assert "Rows read 120" in found.words
        assert not parts_of(state.current)
        found = staff.post("store", {})
        assert "Your cases are stored on this machine." in found.words
        assert parts_of(state.current)["refugio"].persons == 120
        text = (state.mappings / "refugio.yaml").read_text("utf-8")
        assert "citizenship:" not in text
        assert "TODO" not in text

    def test_what_was_sent_is_private_and_gone(
        self, state: AgentState, tmp_path: Path
    ) -> None:
        content = refuge(tmp_path / "refugio.csv", rows=30_000).read_bytes()
        assert len(content) > 1 << 20
        with running(state) as page:
            let_in(page).send_file("../../refugio.csv", content)
            (folder,) = state.scratch.iterdir()
            assert folder.stat().st_mode & 0o777 == 0o700
            files = [path for path in folder.rglob("*") if path.is_file()]
            assert [path.name for path in files] == ["refugio.csv"]
        assert not list(state.scratch.iterdir())
        assert not (tmp_path / "state" / "refugio.csv").exists()

    @pytest.mark.parametrize(
        "name", ["..", ".", "", "/", "a\x00b.csv", "x" * 300 + ".csv", "\u202evsc.exe"]
    )
    def test_any_name_of_a_file_stays_in_the_folder(
        self, name: str, tmp_path: Path
    ) -> None:
        own = homes._own_name(name)
        path = (tmp_path / own).resolve()
        assert path.parent == tmp_path.resolve()
        path.write_bytes(b"")

    def test_a_path_is_taken_and_errors_are_told(
        self, staff: Visitor, tmp_path: Path
    ) -> None:
        assert staff.post("", {"path": ""}).status == 400
        missing = staff.post("", {"path": str(tmp_path / "none.csv")})
        assert missing.status == 400
        assert "There is no file" in missing.words
        strange = columns(tmp_path / "strange.csv", {"Q1": ["red", "blue"]})
        assert "DRAFT_EMPTY" in staff.post("", {"path": str(strange)}).text
        file = columns(tmp_path / "cases.csv", {"Sex": ["F", "M"]})
        assert "What the columns mean" in staff.post("", {"path": str(file)}).words

    def test_steps_cannot_be_skipped(self, staff: Visitor, tmp_path: Path) -> None:
        for path in ("columns", "codes", "check"):
            assert "SETUP_NO_SOURCE" in staff.see(path).text
        file = columns(tmp_path / "cases.csv", {"Sex": ["F", "Qx"]})
        staff.post("", {"path": str(file)})
        assert staff.see("check").headers["location"].endswith("/columns")
        staff.post("columns", {"person": "0", "use-gender": "yes"})
        assert staff.see("check").headers["location"].endswith("/codes")
        refused = staff.post("store", {})
        assert refused.status >= 400
        assert "DOCUMENT_INVALID" in refused.text

    def test_other_columns_can_be_picked(
        self, staff: Visitor, state: AgentState, tmp_path: Path
    ) -> None:
        content = {"Sex": ["F", "M"], "No.": [str(n) for n in range(20)]}
        file = columns(tmp_path / "cases.csv", content)
        staff.post("", {"path": str(file)})
        none = staff.post("columns", {"person": "columns", "use-gender": "yes"})
        assert "Say which columns identify a person." in none.words
        nothing = staff.post("columns", {"person": "columns", "person-1": "yes"})
        assert "at least one column" in nothing.words
        answer = {"person": "columns", "person-1": "yes", "use-gender": "yes"}
        staff.post("columns", answer)
        staff.see("check")
        staff.post("store", {})
        assert parts_of(state.current)["cases"].persons == 20

    def test_dates_are_asked_for(self, staff: Visitor, tmp_path: Path) -> None:
        content = {"Sex": ["F"], "Registration date": ["04/05/2025"]}
        file = columns(tmp_path / "cases.csv", content)
        found = staff.post("", {"path": str(file)})
        assert "How are the dates in Registration date written?" in found.words
        answer = {"person": "0", "use-gender": "yes", "use-registered_month": "yes"}
        assert "Say how the dates are written." in staff.post("columns", answer).words
        found = staff.post("columns", {**answer, "date": "%m/%d/%Y"})
        assert "Every code of your file has a place." in found.words

    def test_consent_is_asked_for(self, staff: Visitor, tmp_path: Path) -> None:
        content = {"Sex": ["F"], "Consent": ["yes", "no"]}
        file = columns(tmp_path / "cases.csv", content)
        found = staff.post("", {"path": str(file)})
        assert "Which codes of Consent say that a record may be counted?" in found.words
        answer = {"person": "0", "use-gender": "yes"}
        assert "SETUP_CONSENT_OPEN" in staff.post("columns", answer).text
        staff.post("columns", {**answer, "consent-1": "yes"})
        found = staff.see("check")
        assert "Cases 30" in found.words
        assert "Rows left out 30" in found.words
        assert "Consent a code for consent" in found.words

    def test_a_consent_in_free_words_is_not_shown(
        self, staff: Visitor, tmp_path: Path
    ) -> None:
        content = {"Sex": ["F"], "Consent": [f"Ana Novak, day {n}" for n in range(60)]}
        file = columns(tmp_path / "cases.csv", content)
        found = staff.post("", {"path": str(file)})
        assert "its texts are not shown" in found.words
        assert "Novak" not in found.text
        answer = {"person": "0", "use-gender": "yes"}
        assert "SETUP_CONSENT_OPEN" in staff.post("columns", answer).text

    def test_refused_rows_are_told_by_reason(
        self, staff: Visitor, tmp_path: Path
    ) -> None:
        content = {
            "Sex": ["F", "M"],
            "Registration date": ["2025-01-31"] * 59 + ["2025-02-31"],
        }
        file = columns(tmp_path / "cases.csv", content)
        staff.post("", {"path": str(file)})
        answer = {"person": "0", "use-gender": "yes", "use-registered_month": "yes"}
        staff.post("columns", answer)
        found = staff.see("check")
        assert "not a date of the form that was found 1 60" in found.words
        assert "2025-02-31" not in found.text

    def test_an_earlier_mapping_is_kept(
        self, staff: Visitor, state: AgentState, tmp_path: Path
    ) -> None:
        state.mappings.mkdir(mode=0o700)
        (state.mappings / "cases.yaml").write_text("mine: 1\n", "utf-8")
        file = columns(tmp_path / "cases.csv", {"Sex": ["F"]})
        staff.post("", {"path": str(file)})
        staff.post("columns", {"person": "0", "use-gender": "yes"})
        found = staff.see("check")
        assert "cases.yaml.before" in found.words
        kept = (state.mappings / "cases.yaml.before").read_text("utf-8")
        assert kept == "mine: 1\n"
        # Not even where the page writes its own once more, with another answer.
        staff.post("columns", {"person": "1", "use-gender": "yes"})
        assert "cases.yaml.before" in staff.see("check").words
        kept = (state.mappings / "cases.yaml.before").read_text("utf-8")
        assert kept == "mine: 1\n"
        # Nor what was put there since, on another day: it may be work of hours.
        (state.mappings / "cases.yaml").write_text("mine: 2\n", "utf-8")
        assert "cases.yaml.before-2" in staff.see("check").words
        kept = (state.mappings / "cases.yaml.before").read_text("utf-8")
        assert kept == "mine: 1\n"
        kept = (state.mappings / "cases.yaml.before-2").read_text("utf-8")
        assert kept == "mine: 2\n"

    def test_a_form_of_codes_that_was_shown_before_means_the_same_ones(
        self, staff: Visitor, state: AgentState, tmp_path: Path
    ) -> None:
        content = {"Sex": ["F", "Qua", "Zzu", "Xib"]}
        staff.post("", {"path": str(columns(tmp_path / "cases.csv", content))})
        found = staff.post("columns", {"person": "0", "use-gender": "yes"})
        first, second, third = asked_codes(found)
        assert asked_codes(staff.post("codes", {first: "man"})) == [second, third]
        staff.post("codes", {first: "unknown", second: "woman"})
        staff.post("codes", {third: "unknown"})
        staff.see("check")
        text = (state.mappings / "cases.yaml").read_text("utf-8")
        codes = ("Qua: man", "Xib: woman", "Zzu: unknown")
        assert all(code in text for code in codes)

    def test_a_form_about_another_file_answers_for_none(
        self, staff: Visitor, state: AgentState, tmp_path: Path
    ) -> None:
        """Its second code of consent may be another one's word for no."""
        first, second = tmp_path / "first.csv", tmp_path / "second.csv"
        for file in (first, second):
            columns(file, {"Sex": ["F", "Qua"]})
        staff.post("", {"path": str(first)})
        old = {"person": "0", "use-gender": "yes", "source": staff.source}
        staff.post("", {"path": str(second)})
        found = staff.post("columns", old)
        assert (found.status, "SETUP_SOURCE_CHANGED" in found.text) == (400, True)
        assert "second.csv" in found.words
        assert staff.see("check").headers["location"].endswith("/columns")
        new = {"source": staff.source}
        [code] = asked_codes(staff.post("columns", {**old, **new}))
        assert staff.post("codes", {**old, code: "man"}).status == 409
        staff.post("codes", {code: "man"})
        staff.see("check")
        assert staff.post("store", old).status == 409
        assert not parts_of(state.current)
        staff.post("store", {})
        assert set(parts_of(state.current)) == {"second"}

    @pytest.mark.parametrize("typed", ["\u00b2", "9", "x"])
    def test_an_answer_that_was_not_offered_is_none(
        self, staff: Visitor, tmp_path: Path, typed: str
    ) -> None:
        file = columns(tmp_path / "cases.csv", {"Sex": ["F"]})
        staff.post("", {"path": str(file)})
        found = staff.post("columns", {"person": typed, "use-gender": "yes"})
        assert (found.status, "SETUP_PERSON_OPEN" in found.text) == (400, True)

    def test_the_mark_of_an_open_workbook_is_no_folder(self, staff: Visitor) -> None:
        found = staff.post("", {"path": "~$cases.xlsx"})
        assert (found.status, "SOURCE_ABSENT" in found.text) == (400, True)

    def test_codes_of_a_file_cannot_write_the_page(
        self, staff: Visitor, tmp_path: Path
    ) -> None:
        evil = "<script>alert(1)</script>"
        content = {"Sex": ["F", evil], f"Nationality {evil}": ["Polish"]}
        file = columns(tmp_path / "cases.csv", content)
        found = staff.post("", {"path": str(file)})
        assert evil not in found.text
        found = staff.post("columns", {"person": "0", "use-gender": "yes"})
        assert evil not in found.text
        assert html.escape(evil) in found.text

    def test_names_and_notes_are_on_no_page(
        self, staff: Visitor, tmp_path: Path
    ) -> None:
        file = refuge(tmp_path / "refugio.csv")
        seen = [staff.post("", {"path": str(file)})]
        uses = dict.fromkeys(re.findall(r'name="(use-[a-z_]+)"', seen[0].text), "yes")
        seen.append(staff.post("columns", {**uses, "person": "0"}))
        (code,) = asked_codes(seen[-1])
        seen.append(staff.post("codes", {code: "other"}))
        seen.append(staff.post("store", {}))
        for answer in seen:
            for secret in (*SECRET_NAMES, SECRET_NOTES, "García"):
                assert secret not in answer.text


class TestJoining:
    """Keys for the board, and the enrolment."""

    def test_keys_are_those_of_the_command(
        self, staff: Visitor, state: AgentState
    ) -> None:
        from accord.agent.keys.public import key_lines

        lines = list(key_lines(state.secret_keys("").public))
        shown = staff.see("keys")
        assert all(html.escape(line) in shown.text for line in lines)
        file = staff.see("agency.keys")
        assert file.text.splitlines() == lines
        assert "attachment" in file.headers["content-disposition"]
        secret = (state.keys / "agency.key").read_bytes().hex()
        assert secret not in shown.text

    async def test_an_agency_joins_with_six_words(
        self, staff: Visitor, state: AgentState
    ) -> None:
        from accord.trust.metadata import read_board

        async with running_hub() as hub:
            hub.found_board()
            token = str(hub.new_token("shelter-north"))
            words = read_board(hub.policy_root).words
            form = {"hub": str(hub.public_address), "token": token}
            none = await asyncio.to_thread(staff.post, "enrol", {**form, "words": ""})
            assert "Write the six words" in none.words
            assert not hub.enrolled_keys
            wrong = {**form, "words": "not the words of the board"}
            refused = await asyncio.to_thread(staff.post, "enrol", wrong)
            assert "BOARD_DIFFERS" in refused.text
            assert token not in refused.text
            home = staff.page.home
            assert isinstance(home, SetupHome)
            assert home.membership() is None
            # The hub of the tests takes each token once.
            again = str(hub.new_token("shelter-north"))
            right = {**form, "token": again, "words": words.upper()}
            joined = await asyncio.to_thread(staff.post, "enrol", right)
        assert "This agency has joined the network." in joined.words
        assert "shelter-north" in joined.words
        assert home.membership() is not None
        assert home.state == state


class TestTexts:
    """Both languages say everything."""

    @pytest.mark.parametrize("subject", ["page", "setup"])
    def test_both_languages_have_all_sentences(self, subject: str) -> None:
        said = {}
        for language in ("en", "ar"):
            path = LOCALE / language / "LC_MESSAGES" / f"{subject}.po"
            with path.open("rb") as file:
                catalogue = read_po(file)
            said[language] = {str(each.id): str(each.string) for each in catalogue}
        assert said["en"].keys() == said["ar"].keys()
        for key, text in said["en"].items():
            if key:
                other = said["ar"][key]
                assert other
                assert other != text
                places = re.findall(r"{\w+}", text)
                assert sorted(places) == sorted(re.findall(r"{\w+}", other)), key

    def test_every_sentence_of_the_pages_is_there(self) -> None:
        found: set[str] = set()
        folder = TEMPLATES.parent
        sources = [*TEMPLATES.glob("*.html"), *FRAME.glob("*.html")]
        sources += [*folder.glob("*.py"), folder.parent / "cli" / "browsing.py"]
        for path in sources:
            text = path.read_text("utf-8")
            found |= set(re.findall(r"[\"']((?:setup|page)(?:\.[a-z-]+)+)[\"']", text))
        found |= {f"setup.step.{step}" for step in STEPS}
        found |= {f"setup.done.{name}" for name in DONE}
        found |= {f"setup.reason.{r.word.replace('_', '-')}" for r in Reason}
        found |= {f"page.{each}" for each in ("too-large", "mistake", "foreign-form")}
        found -= {"page.css", "page.svg", "page.html"}
        assert len(found) > 90
        for message in found:
            values = dict.fromkeys(
                ("most", "name", "profile", "column", "count", "agency", "hub", "kind"),
                "x",
            )
            assert sentence(message, "en", **values)
            assert sentence(message, "ar", **values)

    def test_templates_hold_no_script_and_no_sentence(self) -> None:
        for path in [*TEMPLATES.glob("*.html"), *FRAME.glob("*.html")]:
            text = path.read_text("utf-8")
            assert not re.search(r"<script|\bon[a-z]+=|style=|\|\s*safe", text), path
            bare = re.sub(
                r"{%.*?%}|{{.*?}}|{#.*?#}|<[^>]*>", " ", text, flags=re.DOTALL
            )
            known = "systemctl enable --now accord-agent accord-agent doctor"
            for line in known.split():
                bare = bare.replace(line, " ")
            assert not re.search(r"[A-Za-z]{3}", bare), (path.name, bare.split())

    def test_an_arabic_browser_gets_arabic(self, page: AgentPage) -> None:
        found = let_in(page, "ar-EG,ar;q=0.9,en;q=0.5").see("")
        assert '<html lang="ar" dir="rtl">' in found.text
        assert sentence("setup.source.title", "ar") in found.text


def test_the_command_opens_the_page(tmp_path: Path) -> None:
    """As a process: the address it prints is let in, and its button ends it."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", "from accord.agent.cli import main; main()"),
            *("setup", "--no-browser", "--json", "--state", str(tmp_path / "state")),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        port, address = said["port"], str(said["address"])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        path = address.removeprefix(f"http://127.0.0.1:{port}")
        connection.request("GET", path)
        entered = connection.getresponse()
        led = entered.read().decode()
        cookie = str(entered.headers["set-cookie"]).partition(";")[0]
        where = led.partition("url=")[2].partition('"')[0]
        connection.request("GET", where, headers={"Cookie": cookie})
        text = connection.getresponse().read().decode()
        secret = re.search(r'name="form_secret" value="([^"]+)"', text)
        assert secret is not None
        connection.request(
            "POST",
            f"{where}close",
            urlencode({"form_secret": secret[1]}),
            {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"},
        )
        assert connection.getresponse().status == 200
        connection.close()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()
    assert (tmp_path / "state" / "keys" / "agency.key").exists()


def test_without_its_libraries_the_command_says_what_to_install(
    tmp_path: Path,
) -> None:
    script = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "from accord.agent.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "setup", "--state", str(tmp_path / "state")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "extra `page`" in done.stderr
    assert "Traceback" not in done.stderr
