# SPDX-License-Identifier: Apache-2.0
"""What a hub shows on loopback: health, figures, the audit log."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import http.client
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from accord.core.errors import ConfigurationError
from accord.hub.state import State
from accord.hub.transparency.listener import Listener
from accord.merkle.heads import SignedHead
from accord.merkle.proofs import has_grown, is_included
from accord.rpc.loopback.port import LOOPBACK
from accord.trust.keys import raw_public
from accord.v1 import common_pb2, log_pb2
from tests.unit.hub.scripted import refusing
from tests.unit.hub.world import (
    PARTIES,
    World,
    a_query,
    a_submission,
    add_analyst,
    audited,
    bare_state,
    call,
    finished,
)


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:  # noqa: ANN401  # whatever it is
        return json.loads(self.text)


@pytest.fixture
async def shown(state: State, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Return a hub that shows itself on loopback."""
    monkeypatch.setenv("ACCORD_HUB_TRANSPARENCY_PORT", "0")
    made = World(state)
    await made.start()
    yield made
    await made.stop()


async def get(
    world: World, path: str, *, method: str = "GET", host: str = "localhost"
) -> Answer:
    """Ask as a program on the same machine does."""
    address = world.transparency
    assert address is not None
    port = int(address.rpartition(":")[2])

    def ask() -> Answer:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=30)
        try:
            connection.request(method, path, headers={"Host": host})
            found = connection.getresponse()
            named = {name.lower(): value for name, value in found.getheaders()}
            return Answer(found.status, named, found.read().decode())
        finally:
            connection.close()

    return await asyncio.to_thread(ask)


def figure(text: str, name: str) -> float:
    """Return one figure of a scrape."""
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found is not None, name
    return float(found[1])


async def test_unasked_for_nothing_listens(world: World) -> None:
    assert world.transparency is None


async def test_the_health_of_a_hub(shown: World) -> None:
    answer = await get(shown, "/healthz")
    assert answer.status == 200
    assert answer.json == {"healthy": True, "failures": [], "refusing": None}
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers


async def test_a_ledger_in_doubt_is_said_and_no_failure(shown: World) -> None:
    seen = log_pb2.LogSeen(size=9, root=bytes(32), ledger_height=9, epoch=0)
    await shown.agent("city-police", log_seen=seen)
    answer = await get(shown, "/healthz")
    assert (answer.status, answer.json["refusing"]) == (200, "LEDGER_BEHIND")


async def test_what_only_a_board_can_cure_is_said_and_no_failure(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ACCORD_HUB_TRANSPARENCY_PORT", "0")
    state = bare_state(tmp_path)
    capsys.readouterr()
    world = World.__new__(World)
    world.__dict__.update(agents={}, _channels=[], state=state)
    await world.start()
    answer = await get(world, "/healthz")
    assert (answer.status, answer.json["refusing"]) == (200, "POLICIES_MISSING")
    await world.stop()


async def test_figures_count_on_and_name_nobody(shown: World) -> None:
    await shown.all_agents()
    token = add_analyst(shown.state, "ana-secret-name")
    stub = shown.analyst(token)
    asked = a_submission(2.0)
    await call(stub.SubmitQuery(asked))
    await finished(stub, asked.id)
    await shown.agent("city-police", refusing)
    other = a_submission(
        0.5,
        query=a_query(
            group_by=[common_pb2.Grouping(dimension="age_band", level="broad")]
        ),
        complete_only=True,
    )
    await call(stub.SubmitQuery(other))
    await finished(stub, other.id)
    text = (await get(shown, "/metrics")).text
    assert figure(text, 'accord_hub_questions{state="released"}') == 1
    assert figure(text, 'accord_hub_questions{state="failed"}') == 1
    assert figure(text, 'accord_hub_questions{state="collecting"}') == 0
    assert figure(text, 'accord_hub_rounds{stage="reveal"}') == 0
    assert figure(text, "accord_hub_releases") == 1
    assert figure(text, "accord_hub_journal_delayed") == 0
    assert figure(text, "accord_hub_policies_version") == 1
    assert figure(text, "accord_hub_ledger_height") >= 2
    assert figure(text, "accord_hub_log_size") == len(
        (await get(shown, "/log?most=1000")).json["entries"]
    )
    for label in PARTIES:
        labelled = f'{{agency="{label}"}}'
        assert figure(text, f"accord_hub_agency_connected{labelled}") == 1
        last = f"accord_hub_agency_last_hello_timestamp_seconds{labelled}"
        assert figure(text, last) > 1_700_000_000
    published = 'accord_hub_log_events_total{event="release.published"}'
    assert figure(text, published) == 1
    took = "accord_hub_question_duration_seconds_count"
    assert figure(text, f'{took}{{outcome="released"}}') == 1
    assert figure(text, f'{took}{{outcome="failed"}}') == 1
    again = (await get(shown, "/metrics")).text
    assert figure(again, published) == 1
    assert figure(again, f'{took}{{outcome="released"}}') == 1
    assert "ana-secret-name" not in text
    assert asked.id not in text


async def test_the_log_comes_in_pages(shown: World) -> None:
    for name in ("ana", "ben", "eva"):
        add_analyst(shown.state, name)
    whole = (await get(shown, "/log?most=1000")).json
    assert whole["next"] is None
    numbers = [entry["number"] for entry in whole["entries"]]
    assert numbers == list(range(1, whole["size"] + 1))
    assert [e["event"] for e in whole["entries"]][-3:] == ["analyst.added"] * 3
    assert whole["entries"][-1]["facts"] == audited(shown, "analyst.added")[-1]
    taken: list[dict[str, Any]] = []
    first: int | None = 1
    while first is not None:
        page = (await get(shown, f"/log?from={first}&most=2")).json
        assert len(page["entries"]) <= 2
        taken += page["entries"]
        first = page["next"]
    assert taken == whole["entries"]
    beyond = (await get(shown, f"/log?from={whole['size'] + 1}")).json
    assert (beyond["entries"], beyond["next"]) == ([], None)


async def test_the_log_proves_itself_to_whoever_has_only_its_json(
    shown: World,
) -> None:
    for name in ("ana", "ben", "eva"):
        add_analyst(shown.state, name)
    entries = (await get(shown, "/log?most=1000")).json["entries"]
    for entry in entries:
        hashed = {name: entry[name] for name in ("number", "at", "event", "facts")}
        leaf = hashlib.sha256(b"\0" + rfc8785.dumps(hashed)).hexdigest()
        assert leaf == entry["hash"]
    size = len(entries)
    root = (await get(shown, f"/log/inclusion?entry=1&size={size}")).json["root"]
    for number in range(1, size + 1):
        found = (await get(shown, f"/log/inclusion?entry={number}&size={size}")).json
        assert found["hash"] == entries[number - 1]["hash"]
        path = [bytes.fromhex(each) for each in found["path"]]
        leaf_bytes = bytes.fromhex(found["hash"])
        assert is_included(leaf_bytes, number - 1, size, path, bytes.fromhex(root))
    grown = (await get(shown, f"/log/consistency?from=2&to={size}")).json
    old, new = (bytes.fromhex(each) for each in grown["roots"])
    assert new.hex() == root
    assert has_grown(2, old, size, new, [bytes.fromhex(e) for e in grown["proof"]])


async def test_the_newest_head_is_signed_by_the_key_that_the_board_lists(
    shown: World,
) -> None:
    async with asyncio.timeout(20):
        # The hub signs in its own time.
        while (found := (await get(shown, "/log/head")).json)["head"] is None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert found["key"] == shown.parts.authority.hub_form.key
    signed = SignedHead.from_json(found["head"])
    assert signed.is_signed_by(raw_public(found["key"]))
    assert found["cosignatures"] == []
    text = (await get(shown, "/metrics")).text
    assert figure(text, "accord_hub_ledger_doubted") == 0


async def test_ranges_that_are_none(shown: World) -> None:
    for asked in (
        *("?from=0", "?from=-1", "?from=x", "?most=0", "?from=1e3", f"?from={10**18}"),
        *("/inclusion", "/inclusion?entry=1", "/inclusion?entry=2&size=1"),
        *("/inclusion?entry=1&size=9999", "/consistency?from=3&to=2"),
    ):
        answer = await get(shown, f"/log{asked}")
        assert answer.status == 400, asked
        assert answer.json["reason"] == "LOG_RANGE_INVALID"


async def test_nothing_else_is_answered(shown: World) -> None:
    for path, method, host, status in (
        ("/", "GET", "localhost", 404),
        ("/log/../keys", "GET", "localhost", 404),
        ("/log", "POST", "localhost", 405),
        ("/log", "GET", "hub.example.org", 400),
        ("/log", "GET", "localhost.example.org:80", 400),
        ("/metrics", "GET", "127.0.0.1:9464", 200),
    ):
        found = await get(shown, path, method=method, host=host)
        assert found.status == status, (path, method, host)


async def test_a_database_that_cannot_be_used_is_said(shown: World) -> None:
    path = shown.state.database
    content = path.read_bytes()
    path.write_bytes(b"no database at all" * 1000)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shown.hub._store._reader.dispose()  # it has read some pages already
    try:
        answer = await get(shown, "/log")
        assert answer.status == 503
        assert answer.json["reason"] == "STORE_UNAVAILABLE"
        health = await get(shown, "/healthz")
        assert (health.status, health.json["healthy"]) == (503, False)
        assert health.json["failures"] == ["STORE_UNAVAILABLE"]
    finally:
        path.write_bytes(content)


def test_only_this_machine_can_connect() -> None:
    async def nothing(*_: object) -> None:
        raise AssertionError

    listener = Listener(nothing, 0)
    try:
        assert listener._socket.getsockname()[0] == LOOPBACK
        with pytest.raises(ConfigurationError) as caught:
            Listener(nothing, listener.port)
        assert caught.value.reason == "PORT_UNAVAILABLE"
    finally:
        listener._socket.close()
