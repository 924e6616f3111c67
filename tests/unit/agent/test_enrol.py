# SPDX-License-Identifier: Apache-2.0
"""Joining a hub, and every way in which it can fail, over real TLS."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import pty
import re
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from accord.agent.enrolment import describe
from accord.agent.network.identity import IdentityFiles, Membership
from accord.core.errors import (
    AccordError,
    ConfigurationError,
    Conflict,
    IntegrityError,
    PolicyDenied,
    Unauthenticated,
    Unreachable,
)
from accord.rpc import pki
from accord.rpc.address import Address
from accord.rpc.tokens import Token, TokenKind, mint
from accord.trust.metadata import BoardOfRoot, RootMember, root_digest
from accord.trust.trusted import Trusted
from accord.trust.words import six_words
from accord.v1 import enrolment_pb2
from tests.policies import Board, signed_repository
from tests.policies import key as named_key
from tests.unit.agent.command import SCRIPT, Command
from tests.unit.agent.joining import join, join_now
from tests.unit.rpc.hub_double import (
    MEMBERS_TEXT,
    NETWORK,
    HubDouble,
    running_hub,
    utc_now,
)


@pytest.fixture
async def hub() -> AsyncIterator[HubDouble]:
    async with running_hub() as started:
        yield started


@pytest.fixture
def files(tmp_path: Path) -> IdentityFiles:
    (tmp_path / "keys").mkdir()
    return IdentityFiles(tmp_path / "keys")


def pinned(files: IdentityFiles) -> bytes | None:
    return Trusted(files.folder.parent / "policies", None).pinned()


async def test_a_token_gives_an_identity(hub: HubDouble, files: IdentityFiles) -> None:
    assert not files.enrolled()
    membership = await join(hub, files, hub.new_token("shelter-north"))
    assert membership == Membership(agency="shelter-north", hub=hub.agent_address)
    identity = files.load()
    identity.check(utc_now())
    assert identity.membership == membership
    assert pki.agency_of(identity.certificate) == "shelter-north"
    assert identity.authority == hub.ca
    assert pinned(files) == hub.policy_root
    proved = hub.enrolled_keys["shelter-north"]
    assert proved == named_key("agency").public_key().public_bytes_raw()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in files.folder.iterdir()}
    assert modes == {0o600}
    assert len(list(files.folder.iterdir())) == 4


async def test_the_key_is_made_once_and_kept(
    hub: HubDouble, files: IdentityFiles
) -> None:
    key = files.make_key()
    await join(hub, files, hub.new_token("shelter-north"))
    first = files.load().certificate
    await join(hub, files, hub.new_token("shelter-north"))
    again = files.load()
    assert again.key.public_key() == key.public_key()
    assert again.certificate.serial_number != first.serial_number


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("TOKEN_USED", "used before"),
        ("TOKEN_UNKNOWN", "does not know"),
        ("TOKEN_EXPIRED", "too old"),
        ("TOKEN_REVOKED", "withdrew"),
    ],
)
async def test_a_refused_token_is_explained(
    hub: HubDouble, files: IdentityFiles, reason: str, words: str
) -> None:
    hub.token_error = Unauthenticated(reason, "the hub's words")
    with pytest.raises(Unauthenticated, match=f"{words}.*operator") as caught:
        await join(hub, files, hub.new_token("shelter-north"))
    assert caught.value.reason == reason
    assert not files.enrolled()


async def test_a_token_works_once(hub: HubDouble, files: IdentityFiles) -> None:
    token = hub.new_token("shelter-north")
    await join(hub, files, token)
    before = {path: path.read_bytes() for path in files.folder.iterdir()}
    with pytest.raises(Unauthenticated, match="used before"):
        await join(hub, files, token)
    assert before == {path: path.read_bytes() for path in files.folder.iterdir()}


async def test_another_hubs_token_is_never_shown(
    hub: HubDouble, files: IdentityFiles
) -> None:
    seen: list[object] = []
    hub.Enrol = seen.append  # type: ignore[method-assign, assignment]
    other = pki.new_authority(NETWORK, utc_now())[1]
    with pytest.raises(Unauthenticated, match="Nothing was sent"):
        await join(hub, files, mint(TokenKind.ENROLMENT, pki.fingerprint(other)))
    assert not seen
    assert not list(files.folder.iterdir())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "TOKEN_MALFORMED"),
        ("accord_e1_abc", "TOKEN_MALFORMED"),
        (str(Token(TokenKind.ANALYST, bytes(32), bytes(32))), "TOKEN_WRONG_KIND"),
    ],
)
def test_what_is_no_enrolment_token_goes_nowhere(
    files: IdentityFiles, text: str, reason: str
) -> None:
    with pytest.raises(Unauthenticated) as caught:
        join_now(files, Address("127.0.0.1", 1), text)
    assert caught.value.reason == reason


def test_an_unreachable_hub_is_named(files: IdentityFiles) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = Address("127.0.0.1", free.getsockname()[1])
        token = mint(TokenKind.ENROLMENT, bytes(32))
        with pytest.raises(Unreachable, match=str(address)):
            join_now(files, address, str(token))


async def test_one_state_is_one_agency(hub: HubDouble, files: IdentityFiles) -> None:
    await join(hub, files, hub.new_token("shelter-north"))
    with pytest.raises(Conflict, match="city-police") as caught:
        await join(hub, files, hub.new_token("city-police"))
    assert caught.value.reason == "ENROLLED_AS_ANOTHER"
    assert files.load().membership.agency == "shelter-north"


@pytest.mark.parametrize(
    "defect", ["no certificate", "foreign", "other key", "other label", "root", "port"]
)
async def test_an_answer_that_makes_no_sense_changes_nothing(
    hub: HubDouble, files: IdentityFiles, defect: str
) -> None:
    good = hub.Enrol

    async def bad(
        request: enrolment_pb2.EnrolRequest, context: object
    ) -> enrolment_pb2.EnrolResponse:
        answer = await good(request, context)
        match defect:
            case "other key":
                other = pki.certificate_request(pki.new_key())
                answer.certificate = hub.issue(other, "shelter-north")
            case "no certificate":
                answer.certificate = "nonsense"
            case "foreign":
                authority = pki.new_authority(NETWORK, utc_now())
                foreign = pki.issue(
                    *authority,
                    request.certificate_request,
                    label="shelter-north",
                    network=NETWORK,
                    lifetime=hub.lifetime,
                    now=utc_now(),
                )
                answer.certificate = pki.certificate_pem(foreign).decode()
            case "other label":
                answer.agency = "city-police"
            case "root":
                answer.policy_root = b"{}"
            case "port":
                answer.agent_port = 0
            case _:
                pass
        return answer

    await hub.stop()
    hub.Enrol = bad  # type: ignore[method-assign]
    await hub.start()
    with pytest.raises(IntegrityError, match="tell the hub's operator") as caught:
        await join(hub, files, hub.new_token("shelter-north"))
    assert caught.value.reason == "ENROLMENT_INVALID"
    assert not files.enrolled()
    assert pinned(files) is None


async def test_a_board_that_nobody_confirms_is_not_pinned(
    hub: HubDouble, files: IdentityFiles
) -> None:
    seen: list[BoardOfRoot] = []

    def no(board: BoardOfRoot, known: bool) -> None:
        assert not known
        seen.append(board)
        raise PolicyDenied("BOARD_NOT_CONFIRMED", "no")

    with pytest.raises(PolicyDenied):
        await join(hub, files, hub.new_token("shelter-north"), confirm=no)
    assert seen[0].digest == root_digest(hub.policy_root)
    assert not files.enrolled()
    assert [path.name for path in files.folder.iterdir()] == ["identity.key"]
    assert pinned(files) is None


async def test_the_pin_stays_and_another_board_is_refused(
    hub: HubDouble, files: IdentityFiles
) -> None:
    await join(hub, files, hub.new_token("shelter-north"))
    first, root = files.load().certificate, hub.policy_root
    known: list[bool] = []
    await join(
        hub,
        files,
        hub.new_token("shelter-north"),
        confirm=lambda _, pinned_already: known.append(pinned_already),
    )
    assert known == [True]
    again = files.load().certificate
    assert again != first
    stranger = signed_repository(
        {"members.yaml": MEMBERS_TEXT},
        hub_key=hub.signing_key,
        freshness_key=hub.freshness_key,
        board=Board(members=("mallory", "trudy"), seats={}),
        now=utc_now(),
    )
    hub.policy_root = stranger.root()
    with pytest.raises(Conflict) as caught:
        await join(hub, files, hub.new_token("shelter-north"))
    assert caught.value.reason == "ROOT_PINNED"
    assert pinned(files) == root
    assert files.load().certificate == again


class Terminal:
    """The command in a process of its own, with a terminal as its input."""

    def __init__(self, state: Path, *arguments: str) -> None:
        own, its = pty.openpty()
        self._own = own
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *arguments, "--state", str(state)],
            stdin=its,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(its)

    def type(self, line: str) -> tuple[int, str, str]:
        """Type a line and wait for the end."""
        os.write(self._own, f"{line}\n".encode())
        out, err = self.process.communicate(timeout=60)
        os.close(self._own)
        return self.process.returncode, out, err


def arguments_of(hub: HubDouble) -> list[str]:
    token = str(hub.new_token("shelter-north"))
    return ["enrol", "--hub", str(hub.public_address), "--token", token]


@pytest.mark.parametrize(("typed", "status"), [("yes", 0), ("no", 4), ("y", 4)])
async def test_staff_is_shown_the_board_and_asked(
    hub: HubDouble, tmp_path: Path, typed: str, status: int
) -> None:
    state = tmp_path / "state"
    terminal = Terminal(state, *arguments_of(hub))
    code, out, err = await asyncio.to_thread(terminal.type, typed)
    assert code == status, err
    digest = root_digest(hub.policy_root)
    assert "alice: Alice of the tests" in err
    assert "2 of these 3 members" in err
    assert digest in err
    assert six_words(digest) in err
    joined = IdentityFiles(state / "keys").enrolled()
    assert joined == (typed == "yes")
    assert (Trusted(state / "policies", None).pinned() is not None) == joined
    assert ("shelter-north" in out) == joined
    assert "Traceback" not in err


def given_words(hub: HubDouble) -> list[tuple[str, bool]]:
    hub.found_board()
    digest = root_digest(hub.policy_root)
    words = six_words(digest)
    return [
        (words, True),
        (f"  {words.upper()} ", True),
        (words.replace(" ", "  "), True),
        (digest, True),
        (digest.upper(), True),
        (" ".join(digest[i : i + 8] for i in range(0, 64, 8)), True),
        (words.rsplit(" ", 1)[0], False),
        (words + " abandon", False),
        (" ".join(reversed(words.split())), False),
        (digest[:-1], False),
        ("", False),
    ]


@pytest.mark.parametrize("number", range(11))
async def test_the_words_of_the_board_confirm_it_without_asking(
    hub: HubDouble,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
) -> None:
    text, right = given_words(hub)[number]
    state = tmp_path / "state"
    arguments = [*arguments_of(hub), "--board", text, "--json", "--state", state]
    command = Command(monkeypatch, capsys)
    said = await asyncio.to_thread(command, *arguments)
    assert said.status == (0 if right else 4), said.stderr
    assert IdentityFiles(state / "keys").enrolled() == right
    assert (Trusted(state / "policies", None).pinned() is not None) == right
    if not right:
        assert json.loads(said.stderr)["error"]["reason"] == "BOARD_DIFFERS"
        return
    # Joining again needs no confirmation, and a wrong one is refused all the same.
    again = [*arguments_of(hub), "--json", "--state", state]
    assert (await asyncio.to_thread(command, *again)).status == 0
    wrong = [*arguments_of(hub), "--board", "six wrong words", "--state", state]
    assert (await asyncio.to_thread(command, *wrong)).status == 4


async def test_without_a_terminal_somebody_must_have_said_which_board(
    hub: HubDouble,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = Command(monkeypatch, capsys)
    arguments = [*arguments_of(hub), "--state", tmp_path / "state"]
    said = await asyncio.to_thread(command, *arguments)
    assert said.status == 4
    assert "--board" in said.stderr
    assert "Nothing was sent" in said.stderr
    assert not hub.enrolled_keys
    assert len(hub.tokens) == 1


def test_names_that_could_rewrite_the_terminal_are_made_plain() -> None:
    member = RootMember(
        label="alice", name="\x1b[2J\u202eecila", organisation=None, key="ed25519:0"
    )
    board = BoardOfRoot(
        name="board",
        network="n",
        threshold=1,
        members=(member,),
        digest="0" * 64,
        words="a b c d e f",
        expires=utc_now(),
    )
    text = "".join(describe(board))
    assert text.isprintable()
    assert "alice: ?[2J?ecila" in text


async def identity_error(files: IdentityFiles) -> AccordError:
    with pytest.raises(AccordError) as caught:
        files.load().check(utc_now())
    return caught.value


async def test_an_identity_says_what_is_wrong_with_it(
    hub: HubDouble, files: IdentityFiles
) -> None:
    assert (await identity_error(files)).reason == "NOT_ENROLLED"
    await join(hub, files, hub.new_token("shelter-north"))
    key = files.folder / "identity.key"

    content = key.read_bytes()
    key.write_bytes(pki.key_pem(pki.new_key()))
    assert (await identity_error(files)).reason == "CERTIFICATE_KEY_MISMATCH"
    key.write_bytes(b"nonsense")
    assert (await identity_error(files)).reason == "KEY_UNREADABLE"
    key.write_bytes(content)

    key.chmod(0o644)
    assert isinstance(await identity_error(files), ConfigurationError)
    key.chmod(0o600)

    for name, bad in [("hub.json", b"{}"), ("hub.json", b"x")]:
        path = files.folder / name
        content = path.read_bytes()
        path.write_bytes(bad)
        assert (await identity_error(files)).reason == "IDENTITY_BROKEN"
        path.write_bytes(content)

    other = pki.new_authority(NETWORK, utc_now())[1]
    (files.folder / "ca.pem").write_bytes(pki.certificate_pem(other))
    assert (await identity_error(files)).reason == "CERTIFICATE_FOREIGN"


async def test_a_certificate_that_ended_says_to_enrol_again(
    hub: HubDouble, files: IdentityFiles
) -> None:
    await join(hub, files, hub.new_token("shelter-north"))
    identity = files.load()
    after = utc_now() + hub.lifetime
    with pytest.raises(Unauthenticated, match=r"enrol` again") as caught:
        identity.check(after)
    assert caught.value.reason == "CERTIFICATE_EXPIRED"
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", caught.value.sentence)
    with pytest.raises(Unauthenticated, match="clock"):
        identity.check(utc_now() - datetime.timedelta(days=2))
