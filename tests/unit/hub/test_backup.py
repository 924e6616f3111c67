# SPDX-License-Identifier: Apache-2.0
"""A backup has all of a hub, from any database for any other, or is refused whole."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from accord.core.errors import AccordError
from accord.core.policy import MEMBERS
from accord.hub.backup import restoring
from accord.hub.backup.contents import (
    CONFIG,
    KEYS,
    MANIFEST,
    PASSING,
    TABLES,
    tables_of,
)
from accord.hub.backup.restoring import restore
from accord.hub.backup.taking import take
from accord.hub.cli.common import governed, moment_text
from accord.hub.cli.copies import backup as backup_command
from accord.hub.cli.copies import restore as restore_command
from accord.hub.cli.running import init
from accord.hub.contact.lost_certificates import take_back
from accord.hub.contact.standing import Cause, note_restored, standing
from accord.hub.db.engine import LedgerTransaction
from accord.hub.identity import registry
from accord.hub.identity.authority import load_authority
from accord.hub.serve import load_parts, utc_now
from accord.hub.state import State
from accord.ledger import verify
from accord.rpc.peer import PeerAgency
from accord.rpc.pki import certificate_request, key_pem, new_key
from accord.v1 import agent_pb2, agent_pb2_grpc
from tests.contract.hub_databases import postgres_url
from tests.policies import proposed, repository_in
from tests.unit.hub.scripted import Identity, answering, until
from tests.unit.hub.test_ledger_contact import Operator, ask
from tests.unit.hub.world import (
    PARTIES,
    World,
    a_submission,
    add_analyst,
    add_token,
    audited,
    bare_state,
    call,
    finished,
    first_proposal,
    make_state,
    publish,
    revoke,
    store_of,
)

Rows = dict[str, list[tuple[Any, ...]]]


def backup(state: State, path: Path, *, with_keys: bool = False) -> Path:
    store = store_of(state)
    key = load_authority(state.keys, utc_now()).hub_form.key
    try:
        take(state, store, path, key=key, with_keys=with_keys, at=utc_now())
    finally:
        store.close()
    return path


def rows_of(state: State) -> Rows:
    """Return everything in a hub's database, whose ledger has to hold together."""
    store = store_of(state)
    with store.read() as tx:
        verify(LedgerTransaction(tx))
        found = {
            table.name: sorted(
                (tuple(map(plain, row)) for row in tx.execute(sa.select(table))),
                key=repr,
            )
            for table in tables_of(tx)
        }
        for table in tables_of(tx):
            for column in table.columns:
                absent = sa.select(sa.func.count()).where(column.is_(sa.null()))
                count = tx.execute(absent.select_from(table)).scalar_one()
                found[f"{table.name}.{column.name} is absent"] = [(count,)]
    store.close()
    return found


def plain(value: object) -> object:
    return json.dumps(value) if isinstance(value, list | dict) else value


def without_news(rows: Rows) -> Rows:
    """Return the rows that a restored hub has of the one that was backed up."""
    news = {"audit", "log_nodes", "log_heads", "hub_standing"}
    return {
        name: found for name, found in rows.items() if name.split(".")[0] not in news
    }


@pytest.fixture
def token(world: World) -> str:
    return add_analyst(world.state, "ana")


def put_keys(source: State, target: State) -> None:
    target.root.mkdir(exist_ok=True)
    target.keys.mkdir(mode=0o700)
    for path in source.keys.iterdir():
        copy = target.keys / path.name
        copy.write_bytes(path.read_bytes())
        copy.chmod(stat.S_IMODE(path.stat().st_mode))


@pytest.mark.parametrize(
    ("state", "target"),
    [
        ("sqlite", "sqlite"),
        pytest.param("sqlite", "postgresql", marks=pytest.mark.slow),
        pytest.param("postgresql", "sqlite", marks=pytest.mark.slow),
        ("postgresql", "postgresql"),
    ],
    indirect=["state"],
)
async def test_a_restored_hub_has_every_row_and_releases_nothing(
    world: World,
    token: str,
    tmp_path: Path,
    target: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await world.all_agents()
    first = await ask(world, token)
    path = backup(world.state, tmp_path / "backup.zip", with_keys=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = rows_of(world.state)
    await world.stop()

    if target == "sqlite":
        monkeypatch.delenv("ACCORD_HUB_DATABASE", raising=False)
    else:
        monkeypatch.setenv("ACCORD_HUB_DATABASE", postgres_url(request))
    place = State(tmp_path / "restored")
    restore(path, place, utc_now())
    after = rows_of(place)
    assert without_news(after) == without_news(before)
    assert set(before["audit"]) < set(after["audit"])
    assert after.keys() == before.keys()
    assert not after.keys() & PASSING

    restored = World(place)
    await restored.start()
    try:
        stub = restored.analyst(token)
        found = (await finished(stub, first.id)).reply
        assert found.release.id
        with pytest.raises(AccordError) as refused:
            await call(stub.SubmitQuery(a_submission()))
        assert refused.value.reason == "LEDGER_BEHIND"
        operator = Operator(restored, tmp_path)
        doubt = operator.standing().doubt
        assert doubt is not None
        assert doubt.cause is Cause.RESTORED
        restored._agencies = world._agencies
        for label in PARTIES:
            restored._agencies[label]._policy = restored._policy
            agent = restored.stream(world.agents[label].identity)
            restored.agents[label] = agent
            await agent.start(answering)
        await until(lambda: not operator.look().awaited)
        operator.apply()
        await until(lambda: all(e.ended is not None for e in restored.agents.values()))
        await restored.all_agents()
        # numbers of releases and questions go on where they were
        await ask(restored, token, "region")
    finally:
        await restored.stop()


async def renewed(world: World, label: str) -> Identity:
    """Return an agency's identity with a new certificate."""
    old, private = world.agents[label].identity, new_key()
    async with world.agents[label].channel() as channel:
        answer = await call(
            agent_pb2_grpc.AgentServiceStub(channel).Renew(
                agent_pb2.RenewRequest(certificate_request=certificate_request(private))
            )
        )
    return Identity(
        agency=label,
        key=key_pem(private),
        certificate=answer.certificate.encode(),
        authority=old.authority,
        hub_key=old.hub_key,
    )


async def test_agencies_that_renewed_since_can_come_back_and_others_cannot(
    world: World, tmp_path: Path
) -> None:
    """Else nobody could tell a restored hub what it has forgotten."""
    await world.all_agents()
    path = backup(world.state, tmp_path / "backup.zip")
    police = await renewed(world, "city-police")
    await world.stop()
    place = State(tmp_path / "restored")
    put_keys(world.state, place)
    restore(path, place, utc_now())
    restored = World(place)
    await restored.start()
    try:
        agent = restored.stream(police)
        await agent.start(answering)
        assert agent.welcome is not None
        [noted] = audited(restored, "certificate.taken-back")
        assert noted["agency"] == "city-police"
        await agent.stop()
        # it is known again, and can be ended like any other
        revoke(place, "city-police")
        again = restored.stream(police)
        await again.start(answering)
        assert again.welcome is None
    finally:
        await restored.stop()


@pytest.mark.parametrize(
    ("begins", "label", "taken"),
    [
        pytest.param(-30, "city-police", True, id="in between"),
        pytest.param(-90, "city-police", False, id="before the copy"),
        pytest.param(30, "city-police", False, id="after the restore"),
        pytest.param(-30, "atlantis", False, id="of nobody that the board lists"),
        pytest.param(None, "city-police", False, id="nobody knows when"),
    ],
)
def test_only_what_was_lost_is_taken_back(
    state: State, begins: int | None, label: str, taken: bool
) -> None:
    now = utc_now()
    peer = PeerAgency(
        label=label,
        serial="abc",
        expires_at=now + dt.timedelta(hours=1),
        begins_at=None if begins is None else now + dt.timedelta(minutes=begins),
    )
    with governed(state) as found:
        members = found.newest().members
    store = store_of(state)
    with store.write() as tx:
        assert not take_back(tx, peer, members, now)  # it was never restored
        note_restored(tx, copied_at=now - dt.timedelta(minutes=60), at=now)
        assert take_back(tx, peer, members, now) is taken
        assert not take_back(tx, peer, members, now)
        assert bool(registry.keys_of(tx, [(label, "abc")])) is taken
    store.close()


def spoil_byte(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Return a copy with other parts, as a file that ZIP takes for whole."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    target = path.with_name("changed.zip")
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target


def signed(parts: dict[str, bytes], name: str, content: bytes) -> None:
    """Put a part in, with its digest in the manifest."""
    parts[name] = content
    manifest = json.loads(parts[MANIFEST])
    manifest["parts"][name] = hashlib.sha256(content).hexdigest()
    parts[MANIFEST] = json.dumps(manifest).encode()


def without(parts: dict[str, bytes], name: str) -> None:
    del parts[name]


def edited_manifest(parts: dict[str, bytes], **changes: object) -> None:
    manifest = json.loads(parts[MANIFEST]) | changes
    parts[MANIFEST] = json.dumps(manifest).encode()


DAMAGES: dict[str, tuple[Callable[[dict[str, bytes]], None], str]] = {
    "a byte of a table": (
        lambda parts: parts.update(
            {f"{TABLES}audit.jsonl": spoil_byte(parts[f"{TABLES}audit.jsonl"])}
        ),
        "BACKUP_DAMAGED",
    ),
    "a table is missing": (
        lambda parts: without(parts, f"{TABLES}releases.jsonl"),
        "BACKUP_DAMAGED",
    ),
    "no manifest": (
        lambda parts: without(parts, MANIFEST),
        "BACKUP_DAMAGED",
    ),
    "no JSON": (lambda parts: parts.update({MANIFEST: b"{"}), "BACKUP_DAMAGED"),
    "a part that is not listed": (
        lambda parts: parts.update({"files/other": b""}),
        "BACKUP_DAMAGED",
    ),
    "a part outside of the state": (
        lambda parts: signed(parts, f"{KEYS}../../outside", b""),
        "BACKUP_DAMAGED",
    ),
    "a newer format": (
        lambda parts: edited_manifest(parts, format=2),
        "BACKUP_FORMAT",
    ),
    "an older layout": (
        lambda parts: edited_manifest(parts, revision="0001_baseline"),
        "BACKUP_FORMAT",
    ),
    "another height of the ledger": (
        lambda parts: edited_manifest(parts, ledger_height=7),
        "BACKUP_DAMAGED",
    ),
    "another log": (
        lambda parts: edited_manifest(parts, log_root="00" * 32),
        "BACKUP_DAMAGED",
    ),
    "a row that is none": (
        lambda parts: signed(parts, f"{TABLES}releases.jsonl", b"[1]\n"),
        "BACKUP_DAMAGED",
    ),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the backup of a hub that has just been made, with its keys."""
    folder = tmp_path_factory.mktemp("whole")
    return backup(make_state(folder), folder / "backup.zip", with_keys=True)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_backup_that_is_not_whole_makes_no_hub(
    whole: Path, tmp_path: Path, damage: str
) -> None:
    change, reason = DAMAGES[damage]
    place = State(tmp_path / "restored")
    with pytest.raises(AccordError) as error:
        restore(rewritten(whole, change), place, utc_now())
    assert error.value.reason == reason
    assert not place.config.exists()
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path.parent / "outside").exists()


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_file_that_is_no_backup_is_named(
    whole: Path, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "backup.zip"
    path.write_bytes(whole.read_bytes()[:-100] if content is None else content)
    with pytest.raises(AccordError) as error:
        restore(path, State(tmp_path / "restored"), utc_now())
    assert error.value.reason == "BACKUP_DAMAGED"
    with pytest.raises(AccordError) as error:
        restore(tmp_path / "nothing", State(tmp_path / "restored"), utc_now())
    assert error.value.reason == "BACKUP_UNREADABLE"


def test_a_hub_is_restored_into_an_empty_place_only(
    whole: Path, tmp_path: Path
) -> None:
    place = State(tmp_path / "restored")
    restore(whole, place, utc_now())
    with pytest.raises(AccordError) as error:
        restore(whole, place, utc_now())
    assert error.value.reason == "STATE_EXISTS"
    other = State(tmp_path / "other")
    other.keys.mkdir(parents=True)
    with pytest.raises(AccordError) as error:
        restore(whole, other, utc_now())
    assert error.value.reason == "STATE_EXISTS"
    assert "keys" in error.value.sentence


def test_without_its_keys_a_hub_is_not_restored(state: State, tmp_path: Path) -> None:
    path = backup(state, tmp_path / "backup.zip")
    place = State(tmp_path / "restored")
    with pytest.raises(AccordError) as error:
        restore(path, place, utc_now())
    assert error.value.reason == "KEYS_MISSING"
    stranger = bare_state(tmp_path / "stranger")
    put_keys(stranger, place)
    with pytest.raises(AccordError) as error:
        restore(path, place, utc_now())
    assert error.value.reason == "KEYS_CONTRADICT"


def test_a_restore_that_is_interrupted_leaves_no_hub(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = State(tmp_path / "restored")

    def dies(*_args: object, **_named: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(restoring, "note_restored", dies)
        with pytest.raises(KeyboardInterrupt):
            restore(whole, place, utc_now())
    with pytest.raises(AccordError) as error:
        load_parts(place)
    assert error.value.reason == "STATE_ABSENT"
    with pytest.raises(AccordError) as error:
        restore(whole, place, utc_now())
    assert error.value.reason == "STATE_EXISTS"
    assert "interrupted" in error.value.sentence


def test_the_commands(
    state: State, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "backup.zip"
    backup_command(path, with_keys=True, state=state.root, as_json=True)
    made = json.loads(capsys.readouterr().out)
    assert made["bytes"] == path.stat().st_size
    assert made["with_keys"]
    with pytest.raises(AccordError) as error:
        backup_command(path, state=state.root)
    assert error.value.reason == "BACKUP_EXISTS"
    missing = tmp_path / "no folder" / "backup.zip"
    with pytest.raises(AccordError) as error:
        backup_command(missing, state=state.root)
    assert error.value.reason == "BACKUP_NOT_WRITABLE"
    backup_command(tmp_path / "other.zip", state=state.root)
    assert "The keys are not in it" in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "other.zip") as archive:
        assert CONFIG in archive.namelist()
        assert not any(name.startswith(KEYS) for name in archive.namelist())

    place = tmp_path / "restored"
    restore_command(path, state=place)
    assert "takes no question yet" in capsys.readouterr().out
    store = store_of(State(place))
    with store.read() as tx:
        found = standing(tx)
    store.close()
    assert found.doubt is not None
    assert found.restored_at is not None
    assert found.copied_at is not None
    assert made["taken_at"] == moment_text(found.copied_at)
    restore_command(path, state=tmp_path / "again", as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert shown["ledger_height"] == made["ledger_height"]
    for name in ("requisition.key", "ca.key"):
        mode = (place / "keys" / name).stat().st_mode
        assert stat.S_IMODE(mode) == 0o600


# Worse accidents


async def lost_all_but(
    world: World, token: str
) -> tuple[dict[str, tuple[int, int]], Operator]:
    """Return what was spent at a hub that is stopped then."""
    await world.all_agents()
    await ask(world, token)
    operator = Operator(world, world.state.root)
    balances = operator.balances()
    await world.stop()
    return balances, operator


def begin_again(place: State) -> None:
    """Do what an operator does who has nothing but the keys."""
    init(
        host=["127.0.0.1"],
        listen="127.0.0.1",
        public_port=0,
        agent_port=0,
        existing_keys=True,
        state=place.root,
        as_json=True,
    )


async def come_back(
    restored: World, world: World, identities: dict[str, Identity]
) -> None:
    """Let every agency come to another hub, with what it remembers."""
    restored._agencies = world._agencies
    for label in PARTIES:
        restored._agencies[label]._policy = restored._policy
        agent = restored.stream(identities[label])
        restored.agents[label] = agent
        await agent.start(answering)
        assert agent.welcome is not None, agent.ended


@pytest.mark.slow
async def test_where_all_but_the_keys_is_lost_agencies_bring_everything_back(
    world: World, token: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    balances, _ = await lost_all_but(world, token)
    place = State(tmp_path / "again")
    with pytest.raises(AccordError) as error:
        begin_again(place)
    assert error.value.reason == "KEY_UNREADABLE"
    put_keys(world.state, place)
    begin_again(place)
    publish(place, first_proposal(place))
    capsys.readouterr()
    restored = World(place)
    await restored.start()
    try:
        identities = {name: each.identity for name, each in world.agents.items()}
        await come_back(restored, world, identities)
        operator = Operator(restored, tmp_path)
        await until(lambda: not operator.look().awaited)
        operator.apply()
        assert operator.balances() == balances
    finally:
        await restored.stop()


@pytest.mark.slow
async def test_where_the_keys_are_lost_too_their_signatures_still_count(
    world: World, token: str, tmp_path: Path
) -> None:
    """The board lists other keys then; what the old one signed stays proven."""
    path = backup(world.state, tmp_path / "backup.zip")
    balances, _ = await lost_all_but(world, token)
    place = State(tmp_path / "restored")
    restore(path, place, utc_now(), new_keys="sample-network")
    old = repository_in(place.policies)
    form = load_authority(place.keys, utc_now()).hub_form
    members = old.documents()[MEMBERS].decode()
    before = load_authority(world.state.keys, utc_now()).hub_form
    members = members.replace(before.key, form.key)
    members = members.replace(before.freshness, form.freshness)
    publish(place, proposed(old, {MEMBERS: members}, now=utc_now()))
    restored = World(place)
    await restored.start()
    try:
        identities = {
            label: await restored.enrol(add_token(place, label), agency=label)
            for label in PARTIES
        }
        await come_back(restored, world, identities)
        operator = Operator(restored, tmp_path)
        await until(lambda: not operator.look().awaited)
        assert operator.look().unproven == []
        operator.apply()
        assert operator.balances() == balances
    finally:
        await restored.stop()
