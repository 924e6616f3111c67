# SPDX-License-Identifier: Apache-2.0
"""What keeps an agent from working is named, with what to do about it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import io
import json
import socket
import sqlite3
import ssl
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from accord.agent.doctor import examination, machine, network
from accord.agent.doctor.examination import examine
from accord.agent.doctor.finding import Finding, Verdict
from accord.agent.network.identity import IdentityFiles
from accord.agent.policies import model_for_mapping
from accord.agent.state import AgentState
from accord.agent.store.form import DESCRIPTION, FORMAT
from accord.core.errors import NotFound
from accord.rpc.address import Address
from accord.rpc.pki import expiry_of
from accord.rpc.server import ServerIdentity
from tests.unit.agent.agencies import ingest_rows, new_state, row
from tests.unit.agent.case_files import columns
from tests.unit.agent.command import Command
from tests.unit.agent.joining import join
from tests.unit.agent.other_user import hidden
from tests.unit.rpc.connect_proxy import connect_proxy
from tests.unit.rpc.hub_double import HubDouble, running_hub, utc_now
from tests.unit.rpc.test_proxy import TOLD, WRITTEN, quiet

__all__ = ["quiet"]

AWAY = "hub.example.org"


@pytest.fixture
async def hub() -> AsyncIterator[HubDouble]:
    async with running_hub() as started:
        started.found_board()
        yield started


@pytest.fixture
def state(tmp_path: Path) -> AgentState:
    return new_state(tmp_path / "state")


async def looked(
    state: AgentState,
    hub: Address | None = None,
    now: datetime.datetime | None = None,
) -> dict[str, list[Finding]]:
    """Examine, while the hub of the test runs in this loop."""
    found = await asyncio.to_thread(lambda: list(examine(state, hub, now or utc_now())))
    listed: dict[str, list[Finding]] = {}
    for each in found:
        listed.setdefault(each.thing, []).append(each)
    return listed


def verdicts(found: dict[str, list[Finding]]) -> dict[str, str]:
    order = list(Verdict)
    return {
        thing: max((each.verdict for each in listed), key=order.index)
        for thing, listed in found.items()
    }


async def test_a_new_machine_is_told_the_first_step(tmp_path: Path) -> None:
    found = await looked(AgentState(tmp_path / "none"))
    assert found["state"][0].verdict is Verdict.WRONG
    assert "accord-agent init" in found["state"][0].advice
    assert "accord-agent enrol" in found["enrolment"][0].advice
    assert "--hub" in found["enrolment"][0].advice
    assert "was not looked at" in found["enrolment"][0].sentence
    assert not {"keys", "store", "policies", "proxy", "public port"} & set(found)
    assert not (tmp_path / "none").exists()


def test_another_user_is_told_whom_to_be(
    state: AgentState,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = Command(monkeypatch, capsys)
    above = state.root.parent
    monkeypatch.setenv("ACCORD_AGENT_STATE", str(state.root))
    command("status")  # loads what it needs, which the other user may not
    with hidden(above):
        said = [command("status"), command("doctor", "--json")]
    assert [each.status for each in said] == [3, 3]
    assert "runuser -u accord-agent" in said[0].stderr
    (told,) = (
        each
        for each in json.loads(said[1].stdout)["findings"]
        if each["verdict"] == "wrong"
    )
    assert (told["thing"], told["reason"]) == ("state", "STATE_FORBIDDEN")


async def test_the_way_to_the_hub_can_be_tried_before_joining(
    hub: HubDouble, state: AgentState
) -> None:
    found = await looked(state, hub.public_address)
    (port,) = found["public port"]
    assert port.verdict is Verdict.OK
    assert "the token will say" in port.sentence
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = Address("127.0.0.1", free.getsockname()[1])
        found = await looked(state, nobody)
    assert found["public port"][0].reason == "HUB_UNREACHABLE"


async def test_an_agent_that_joined_is_well(hub: HubDouble, state: AgentState) -> None:
    files = IdentityFiles(state.keys)
    await join(hub, files, hub.new_token("shelter-north"), policies=state.policies)
    found = await looked(state, hub.public_address)
    told = verdicts(found)
    for thing in (
        "state",
        "ledger",
        "keys",
        "settings",
        "certificate",
        "proxy",
        "agents' port",
        "time",
        "hub",
        "public port",
    ):
        assert told[thing] == Verdict.OK, found[thing]
    assert "'shelter-north'" in found["hub"][0].sentence
    assert told["policies"] == Verdict.WARNING
    assert "accord-agent run" in found["policies"][0].advice
    assert told["store"] == Verdict.WARNING


async def test_a_port_that_nobody_named_is_called_a_guess(
    hub: HubDouble, state: AgentState, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = IdentityFiles(state.keys)
    await join(hub, files, hub.new_token("shelter-north"), policies=state.policies)

    async def at(port: int) -> Finding:
        monkeypatch.setattr(examination, "PUBLIC_PORT", port)
        (found,) = (await looked(state))["public port"]
        return found

    found = await at(hub.public_address.port)
    assert found.verdict is Verdict.OK
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = free.getsockname()[1]
        found = await at(nobody)
        assert (found.verdict, found.reason) == (Verdict.WARNING, "HUB_UNREACHABLE")
        assert f":{nobody} was looked at" in found.sentence
        assert "--hub HOST:PORT" in found.advice
    with filtering_box("localhost") as other:
        found = await at(other.port)
        assert found.verdict is Verdict.WARNING
        assert "interception" not in found.sentence
        assert "--hub HOST:PORT" in found.advice


async def test_a_store_of_another_format_is_not_called_well(
    hub: HubDouble, state: AgentState
) -> None:
    files = IdentityFiles(state.keys)
    await join(hub, files, hub.new_token("shelter-north"), policies=state.policies)
    await asyncio.to_thread(ingest_rows, state, [row()])
    path = state.current / DESCRIPTION
    content = json.loads(path.read_bytes())
    path.chmod(0o600)
    path.write_text(json.dumps({**content, "format": FORMAT + 1}))
    (store,) = (await looked(state, hub.public_address))["store"]
    assert (store.verdict, store.reason) == (Verdict.WRONG, "STORE_FORMAT")
    assert "install the newer one" in store.sentence


async def test_a_damaged_certificate_ends_no_examination(
    hub: HubDouble, state: AgentState
) -> None:
    files = IdentityFiles(state.keys)
    await join(hub, files, hub.new_token("shelter-north"), policies=state.policies)
    await asyncio.to_thread(ingest_rows, state, [row()])
    assert (await looked(state, hub.public_address))["store"]
    (state.keys / "identity.pem").write_bytes(b"none")
    found = await looked(state, hub.public_address)
    assert found["certificate"][0].verdict is Verdict.WRONG


async def test_an_agency_that_the_board_does_not_list_is_told(
    hub: HubDouble, state: AgentState
) -> None:
    from accord.agent.policies import AgencyPolicies

    files = IdentityFiles(state.keys)
    await join(hub, files, hub.new_token("shelter-north"), policies=state.policies)

    def fetch(name: str) -> bytes:
        if name not in hub.policies:
            raise NotFound("POLICY_UNKNOWN", "There is no such policy.")
        return hub.policies[name]

    AgencyPolicies(state, "shelter-north").refresh(fetch, utc_now())
    found = await looked(state, hub.public_address)
    (policies,) = found["policies"]
    assert policies.verdict is Verdict.WRONG
    assert policies.reason in {"AGENCY_NOT_LISTED", "AGENCY_KEY_DIFFERS"}


async def test_a_hub_that_refuses_is_told(hub: HubDouble, state: AgentState) -> None:
    files = IdentityFiles(state.keys)
    await join(hub, files, hub.new_token("shelter-north"), policies=state.policies)
    hub.policies = {}
    found = await looked(state, hub.public_address)
    assert found["hub"][0].reason == "POLICY_UNKNOWN"


@contextlib.contextmanager
def filtering_box(*names: str) -> Iterator[Address]:
    """Serve TLS as a box does that opens everybody's connections."""
    authority = trustme.CA(organization_name="Acme Web Filter")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                found, _ = server.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), found:
                context.wrap_socket(found, server_side=True).close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield Address("127.0.0.1", server.getsockname()[1])
    finally:
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(10)


async def test_interception_is_named_with_who_does_it(
    hub: HubDouble, state: AgentState
) -> None:
    """The box copies the hub's name into a certificate of its own."""
    files = IdentityFiles(state.keys)
    await join(hub, files, hub.new_token("shelter-north"), policies=state.policies)
    with filtering_box("accord-hub", "localhost") as box:
        path = state.keys / "hub.json"
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, "hub": str(box)}))
        found = await looked(state, box)
    for thing in ("agents' port", "public port"):
        (port,) = found[thing]
        assert port.verdict is Verdict.WRONG
        assert "TLS interception" in port.sentence
        assert "'Acme Web Filter'" in port.sentence
        assert "Acme Web Filter" in port.advice
    assert "hub" not in found
    assert "time" not in found


def test_a_strange_certificate_is_that_of_no_hub() -> None:
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "box")])
    builder = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(datetime.datetime(2026, 1, 1))  # noqa: DTZ001
        .not_valid_after(datetime.datetime(2027, 1, 1))  # noqa: DTZ001
    )
    for last in (4, 5):
        kind = x509.ObjectIdentifier(f"1.2.3.{last}")
        strange = x509.UnrecognizedExtension(kind, b"x")
        builder = builder.add_extension(strange, critical=False)
    content = builder.sign(key, None).public_bytes(Encoding.DER)
    assert content.count(b"\x2a\x03\x05") == 1
    twice = content.replace(b"\x2a\x03\x05", b"\x2a\x03\x04")
    found = x509.load_der_x509_certificate(twice)
    with pytest.raises(x509.DuplicateExtension):
        _ = found.extensions
    hub = Address(AWAY, 8443)
    told = network._who("public port", hub, [found], None)
    assert told.verdict is Verdict.WRONG
    assert "'box'" in told.sentence


async def test_interception_is_seen_before_joining(state: AgentState) -> None:
    with filtering_box("www.example.org") as box:
        found = await looked(state, box)
    assert "TLS interception" in found["public port"][0].sentence


async def test_another_hub_is_not_ours(hub: HubDouble, state: AgentState) -> None:
    """With a copy of the right authority behind a certificate of its own."""
    files = IdentityFiles(state.keys)
    await join(hub, files, hub.new_token("shelter-north"), policies=state.policies)
    other = HubDouble()
    hub.identity = ServerIdentity(
        key=other.identity.key,
        chain=other.identity.chain.partition(other.ca_pem)[0] + hub.ca_pem,
    )
    found = await looked(state, hub.public_address)
    assert verdicts(found)["agents' port"] == Verdict.WRONG


async def test_a_wrong_clock_is_told(hub: HubDouble, state: AgentState) -> None:
    files = IdentityFiles(state.keys)
    await join(hub, files, hub.new_token("shelter-north"), policies=state.policies)
    year = datetime.timedelta(days=365)
    behind = await looked(state, hub.public_address, utc_now() - year)
    assert "begins in the future" in behind["time"][0].sentence
    assert behind["certificate"][0].reason == "CERTIFICATE_NOT_YET_VALID"
    ahead = await looked(state, hub.public_address, utc_now() + year)
    assert "ended at" in ahead["time"][0].sentence
    assert ahead["certificate"][0].reason == "CERTIFICATE_EXPIRED"
    end = expiry_of(files.load().certificate) - datetime.timedelta(minutes=5)
    soon = await looked(state, hub.public_address, end)
    assert soon["certificate"][0].verdict is Verdict.WARNING


async def test_the_proxy_is_told_without_its_password(
    hub: HubDouble, state: AgentState, quiet: pytest.MonkeyPatch
) -> None:
    away = Address(AWAY, hub.public_address.port)
    with connect_proxy(TOLD) as proxy:
        quiet.setenv("https_proxy", f"http://{WRITTEN}@127.0.0.1:{proxy.port}")
        found = await looked(state, away)
        assert found["public port"][0].verdict is Verdict.OK
        assert "with a name and a password" in found["proxy"][0].sentence
        quiet.setenv("https_proxy", f"http://worker:bad@127.0.0.1:{proxy.port}")
        refused = await looked(state, away)
        assert refused["public port"][0].reason == "PROXY_LOGIN"
    for secret in ("p@ss", "p%40ss", "worker", "bad@"):
        assert secret not in repr(found) + repr(refused)
    quiet.delenv("https_proxy")
    quiet.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    found = await looked(state, Address("127.0.0.1", 1))
    assert found["proxy"][0].verdict is Verdict.OK
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        quiet.setenv("grpc_proxy", f"socks5://127.0.0.1:{free.getsockname()[1]}")
        found = await looked(state, away)
    assert found["proxy"][0].reason == "PROXY_INVALID"


async def test_capital_letters_are_not_read(
    state: AgentState, quiet: pytest.MonkeyPatch
) -> None:
    from accord.agent.doctor import network

    quiet.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    found = network.proxy(Address(AWAY, 8443))
    assert found.verdict is Verdict.WARNING
    assert "small letters" in found.sentence
    assert state.root.exists()


class TestFiles:
    """The state directory."""

    async def test_exposed_state_and_keys_are_wrong(self, state: AgentState) -> None:
        (state.keys / "store.key").chmod(0o640)
        found = await looked(state)
        assert [each.reason for each in found["keys"]] == ["SECRET_EXPOSED"]
        state.root.chmod(0o750)
        found = await looked(state)
        assert found["state"][0].verdict is Verdict.WRONG
        assert found["state"][0].reason == "STATE_EXPOSED"

    async def test_lost_keys_are_wrong(self, state: AgentState) -> None:
        (state.keys / "pseudonym.key").unlink()
        found = await looked(state)
        assert [each.reason for each in found["keys"]] == ["SECRET_ABSENT"]

    async def test_an_old_copy_is_wrong(self, state: AgentState) -> None:
        state.sequence_file.unlink()
        found = await looked(state)
        assert "confirm-restore" in found["ledger"][0].advice

    async def test_unknown_settings_and_variables_are_wrong(
        self, state: AgentState, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ACCORD_AGENT_INGEST__MEMROY", "1GiB")
        found = await looked(state)
        assert "ACCORD_AGENT_INGEST__MEMROY" in found["settings"][0].sentence
        assert "1GiB" not in found["settings"][0].sentence
        monkeypatch.delenv("ACCORD_AGENT_INGEST__MEMROY")
        monkeypatch.setenv("ACCORD_AGENT_UNSAFE_TEST_MODE", "true")
        found = await looked(state)
        assert "unsafe_test_mode" in found["settings"][0].sentence

    async def test_databases_are_tried(self, state: AgentState, tmp_path: Path) -> None:
        pytest.importorskip("sqlalchemy")
        good = tmp_path / "good.db"
        with contextlib.closing(sqlite3.connect(good)) as connection, connection:
            connection.execute("CREATE TABLE t (a TEXT)")
        with state.config.open("a", encoding="utf-8") as file:
            file.write(f'[databases.good]\nurl = "sqlite:///{good}"\n')
            file.write(f'[databases.gone]\nurl = "sqlite:///{tmp_path}/gone.db"\n')
        well, gone = (await looked(state))["database"]
        assert well.verdict is Verdict.OK
        assert (gone.verdict, gone.reason) == (Verdict.WRONG, "DATABASE_PATH")

    async def test_open_questions_are_told(
        self, state: AgentState, tmp_path: Path
    ) -> None:
        from accord.agent.drafting.drafting import draft_mapping
        from accord.agent.drafting.origins import Origin
        from accord.agent.joining import mapping_place, write_draft

        file = columns(tmp_path / "cases.csv", {"Sex": ["F"]})
        draft = draft_mapping(
            state, Origin((file,)), model_for_mapping(state, "cases-v1", None)
        )
        write_draft(draft, mapping_place(state, Origin((file,))))
        (state.mappings / "zz.yaml").write_bytes(b"mapping: caf\xe9\n")
        asked, unread = (await looked(state))["mapping"]
        assert asked.verdict is unread.verdict is Verdict.WARNING
        assert "questions that nobody has answered" in asked.sentence
        assert "not UTF-8" in unread.sentence


class TestMachine:
    """Clock and disk, as far as the system tells."""

    @pytest.mark.parametrize(
        ("state", "verdict"), [(0, Verdict.OK), (1, Verdict.OK), (5, Verdict.WARNING)]
    )
    def test_the_kernel_says_whether_the_clock_is_kept(
        self, state: int, verdict: Verdict
    ) -> None:
        assert machine.clock(state).verdict is verdict
        assert machine.clock().thing == "clock"

    @pytest.mark.parametrize(
        ("free", "verdict"),
        [
            (1 << 20, Verdict.WRONG),
            (1 << 30, Verdict.WARNING),
            (1 << 40, Verdict.OK),
        ],
    )
    def test_room_is_judged(self, tmp_path: Path, free: int, verdict: Verdict) -> None:
        room, _ = machine.disk(tmp_path / "not" / "yet", free)
        assert room.verdict is verdict
        assert str(tmp_path) in room.sentence

    def test_the_longest_mount_is_the_one(self, tmp_path: Path) -> None:
        here = str(tmp_path).replace(" ", "\\040")
        table = (
            "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
            f"2 1 253:7 / {here} rw - xfs /dev/mapper/x rw\n"
            f"3 1 9:9 / {here}other rw - tmpfs none rw\n"
            "broken\n"
        )
        assert machine.mounted(tmp_path, table) == ("253:7", "xfs")
        assert machine.mounted(Path("/"), table) == ("8:1", "ext4")

    def test_a_mount_may_have_any_name(self, tmp_path: Path) -> None:
        folder = tmp_path / "données \\x41"
        folder.mkdir()
        here = str(folder).replace("\\", "\\134").replace(" ", "\\040")
        table = (
            "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
            f"2 1 253:7 / {here} rw - xfs /dev/mapper/x rw\n"
        )
        assert machine.mounted(folder, table) == ("253:7", "xfs")

    def test_encryption_is_found_below_volumes(self, tmp_path: Path) -> None:
        """A logical volume on LUKS, one on a bare disk, and a partition."""
        devices = tmp_path / "block"

        def device(name: str, kind: str | None, *below: str) -> None:
            folder = devices / name
            (folder / "slaves").mkdir(parents=True)
            if kind is not None:
                (folder / "dm").mkdir()
                (folder / "dm" / "uuid").write_text(kind)
            for each in below:
                (folder / "slaves" / each).mkdir()
                (folder / "slaves" / each / "dev").write_text(f"{each}\n")

        device("8:1", None)
        (devices / "8:1" / "partition").write_text("1")
        device("253:0", "CRYPT-LUKS2-x", "8:1")
        device("253:1", "LVM-x", "253:0")
        device("253:2", "LVM-y", "8:1")
        device("253:3", "LVM-z", "253:0", "8:1")
        found = {
            name: machine.encrypted(name, devices)
            for name in ("253:0", "253:1", "253:2", "253:3", "8:1", "1:1", "")
        }
        assert found == {
            "253:0": True,
            "253:1": True,
            "253:2": False,
            "253:3": False,
            "8:1": False,
            "1:1": None,
            "": None,
        }


class TestCommand:
    """What staff types."""

    @pytest.fixture
    def run(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> Command:
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        return Command(monkeypatch, capsys)

    def test_the_exit_status_says_whether_anything_is_wrong(
        self, run: Command, tmp_path: Path, state: AgentState
    ) -> None:
        good = run("doctor", "--state", state.root)
        assert good.status == 0, good.stdout
        assert good.stdout.splitlines()[-1].endswith("0 wrong.")
        bad = run("doctor", "--state", tmp_path / "none")
        assert bad.status == 3
        assert "accord-agent init" in bad.stdout
        assert run("doctor", "--hub", "a b").status == 3

    def test_programs_get_the_same(self, run: Command, state: AgentState) -> None:
        found = json.loads(run("doctor", "--state", state.root, "--json").stdout)
        assert found["well"] is True
        assert {"thing", "verdict", "text", "advice", "reason"} == set(
            found["findings"][0]
        )
        (state.keys / "agency.key").unlink()
        said = run("doctor", "--state", state.root, "--json")
        assert said.status == 3
        assert json.loads(said.stdout)["well"] is False
