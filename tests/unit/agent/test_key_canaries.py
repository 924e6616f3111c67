# SPDX-License-Identifier: Apache-2.0
"""Bytes of keys come out nowhere: in no text of an object, file, output or crash.

Where a key itself lies is looked at too, so that a search which finds nothing can.
"""

from __future__ import annotations

import base64
import dataclasses
import gc
import importlib
import inspect
import os
import pkgutil
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import accord.agent
import accord.secagg
from accord.agent.intake.pseudonym import KeyedHash
from accord.agent.keys.envelope import is_sealed
from accord.agent.keys.kek import KekBytes
from accord.agent.network.identity import IdentityFiles
from accord.agent.receipts import receipts
from accord.agent.settings import CREDENTIALS
from accord.agent.state import AgentState
from tests.unit.agent.agencies import HEADER, MAPPING_TEXT, MODEL_TEXT, row, write_csv
from tests.unit.agent.agency_world import THREE, World
from tests.unit.agent.agreements import AGENCY
from tests.unit.agent.command import SCRIPT
from tests.unit.agent.test_canary import CANARIES, found_in, plant
from tests.unit.agent.test_metrics import figures, identify

LEAST = 8
"""Bytes of a key by which it is known again: chance finds one in 2**64 places."""

NAMES = (
    *("agency.key", "audit.key", "pseudonym.key", "store.key"),
    *("pseudonym.1.key", "store.1.key"),
)

KEYS = {
    name: bytes((37 * place + 91 * number + 11) % 251 for place in range(32))
    for number, name in enumerate(NAMES)
}


def forms(key: bytes) -> set[bytes]:
    """Return the bytes by which a key, or its first half, could be found again."""
    start = key[:LEAST]
    found = {start, repr(start)[2:-1].encode(), ", ".join(map(str, start)).encode()}
    for case in (start.hex(), start.hex().upper(), start.hex(" "), start.hex(":")):
        found |= {case.encode(encoding) for encoding in ("ascii", "utf-16-le")}
    for before in range(3):
        coded = base64.b64encode(b" " * before + key)[4 if before else 0 :][:12]
        for text in (coded, coded.replace(b"+", b"-").replace(b"/", b"_")):
            found |= {text, text.decode().encode("utf-16-le")}
    found.add(str(int.from_bytes(key, "big")).encode())
    return found


SEARCHED = {name: forms(key) for name, key in KEYS.items()}


def keys_in(content: bytes) -> list[str]:
    return [
        name
        for name, looked_for in SEARCHED.items()
        if any(form in content for form in looked_for)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_search_finds_a_key_in_every_form(name: str) -> None:
    key = KEYS[name]
    for content in (
        *(key, key.hex().encode(), key.hex().upper().encode("utf-16-le")),
        *(base64.b64encode(b"x" * n + key) for n in range(4)),
        *(repr(key).encode(), repr(list(key)).encode(), f"{bytearray(key)}".encode()),
        *(base64.urlsafe_b64encode(key), key.hex(":").encode()),
        str(int.from_bytes(key, "big")).encode(),
    ):
        assert keys_in(b"before " + content + b" after") == [name]


# ------------------------------------------------------------------ texts of objects

PUBLIC = {
    *("agency_key", "ephemeral_key", "seed_commitment", "as_key", "public_key"),
}
"""Fields whose names sound secret, and which everybody may see."""


def modules_of(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def test_no_field_that_is_called_a_secret_is_part_of_a_text() -> None:
    """Also of classes that are still to come."""
    seen, shown = 0, []
    for package in (accord.agent, accord.secagg):
        for module in modules_of(package):
            for _, kind in inspect.getmembers(module, inspect.isclass):
                if kind.__module__ != module.__name__:
                    continue
                if not dataclasses.is_dataclass(kind):
                    continue
                for field in dataclasses.fields(kind):
                    type_ = str(field.type)
                    words = set(field.name.split("_"))
                    secret = words & {"key", "keys", "seed", "secret", "salt", "pin"}
                    if not secret or type_ not in {"str", "bytes", "bytes | None"}:
                        continue
                    seen += 1
                    if field.repr and field.name not in PUBLIC:
                        shown.append(f"{kind.__qualname__}.{field.name}")
    assert seen > 6
    assert shown == []


def test_no_object_of_a_round_shows_a_key(world: World) -> None:
    """After all three steps, whatever is still alive is asked for its text."""
    state = world.states[AGENCY]
    for name in ("audit.key", "pseudonym.key", "store.key"):
        (state.keys / name).write_bytes(KEYS[name])
    identify([world.states[each] for each in THREE], world.clock())
    kept: list[object] = [
        IdentityFiles(state.keys).load(),
        state.secret_keys(AGENCY),
        state.agency_key(),
        KeyedHash(state.pseudonym_key()),
        KekBytes(KEYS["store.key"], "test"),
        world.ready(world.asked()),
        world.whole(world.asked()),
    ]
    with state.ledger() as connection:
        secret = {
            bytes(each)
            for (each,) in connection.execute(
                "SELECT seed FROM round WHERE seed IS NOT NULL UNION"
                " SELECT ephemeral FROM round WHERE ephemeral IS NOT NULL"
            )
        }
    assert len(secret) >= 2
    looked_for = set().union(*SEARCHED.values(), *map(forms, secret))
    asked = 0
    for found in [*kept, *gc.get_objects()]:
        kind = type(found)
        module = str(kind.__module__)
        if not module.startswith(("accord.agent", "accord.secagg")):
            continue
        asked += 1
        for text in (repr(found), str(found), f"{found}"):
            content = text.encode("utf-8", "replace")
            assert not any(form in content for form in looked_for), kind
    assert asked > 50


# ------------------------------------------------------------------ files and output


class Folder:
    """A state directory whose keys are known, and a source full of canaries."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.said = b""
        (root / "mapping.yaml").write_text(MAPPING_TEXT)
        (root / "small.yaml").write_text(MODEL_TEXT)
        plant(root / "cases.csv")
        self.run("init")
        self.state = AgentState(root / "state")
        for name, key in KEYS.items():
            (self.state.keys / name).touch(mode=0o600)
            (self.state.keys / name).write_bytes(key)

    def begin(self, *words: object) -> subprocess.Popen[bytes]:
        """Start a command that says where it is when it crashes."""
        environment = {
            name: text for name, text in os.environ.items() if name != CREDENTIALS
        }
        return subprocess.Popen(
            [
                *(sys.executable, "-X", "faulthandler", "-c", SCRIPT),
                *map(str, words),
                *("--state", str(self.root / "state")),
            ],
            cwd=self.root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *words: object) -> int:
        process = self.begin(*words)
        self.said += b"".join(process.communicate())
        return process.returncode

    def ingest(self, source: str = "cases.csv") -> tuple[object, ...]:
        return (
            *("ingest", self.root / source, "--mapping", self.root / "mapping.yaml"),
            *("--model", self.root / "small.yaml"),
        )

    def files(self) -> dict[Path, bytes]:
        return {
            path: path.read_bytes()
            for path in self.state.root.rglob("*")
            if path.is_file()
        }

    def require_clean(self) -> None:
        """Keys are in their own files, canaries in none."""
        assert (keys_in(self.said), found_in(self.said)) == ([], [])
        for path, content in self.files().items():
            own = [path.name] if path.name in KEYS and not is_sealed(content) else []
            assert keys_in(content) == own, path.name
            assert found_in(content) == [], path.name


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.mark.slow
def test_no_command_and_no_file_has_a_key(folder: Folder) -> None:
    assert folder.run(*folder.ingest()) == 0
    for words in (
        *(("status", "--json"), ("keys",), ("editions",), ("receipts",), ("doctor",)),
        ("run", "--once"),
    ):
        folder.run(*words)
    folder.require_clean()
    assert folder.run("keys", "rotate-pseudonyms", "--yes") == 0, folder.said
    assert b"pseudonym.2.key" in folder.said
    folder.require_clean()
    person = folder.root / "person"
    person.touch(mode=0o600)
    person.write_text(
        f"first: {CANARIES['first']}\nlast: {CANARIES['last']}\n"
        f"born: {CANARIES['born']}\n",
        encoding="utf-8",
    )
    forget = ("forget", "--mapping", folder.root / "mapping.yaml")
    options = ("--model", folder.root / "small.yaml", "--from", person, "--yes")
    assert folder.run(*forget, *options) == 0, folder.said
    folder.run("forgotten", "--json")
    folder.require_clean()
    # Keys that are broken or exposed are complained of, and not shown.
    needed = {"agency.key": ("keys",), "audit.key": ("init",)}
    for name, key in KEYS.items():
        file = folder.state.keys / name
        file.write_bytes(key + b"\n")
        folder.run(*needed.get(name, folder.ingest()))
        file.write_bytes(key)
    file.chmod(0o644)
    folder.run("doctor")
    file.chmod(0o600)
    assert b"33 bytes" in folder.said
    folder.require_clean()


@pytest.mark.slow
def test_sealed_keys_are_in_no_file_at_all(folder: Folder) -> None:
    kek = folder.root / "kek"
    assert folder.run("keys", "make-kek", kek) == 0
    folder.state.config.write_text(f'[keys]\nkek_file = "{kek}"\n')
    assert folder.run("keys", "seal") == 0
    assert folder.run(*folder.ingest()) == 0
    assert folder.run("status") == 0
    folder.require_clean()
    assert [
        keys_in(content) for content in folder.files().values() if keys_in(content)
    ] == []
    kept = forms(kek.read_bytes())
    for content in (*folder.files().values(), folder.said):
        assert not any(form in content for form in kept)


@pytest.mark.slow
def test_a_crash_writes_no_memory_and_names_no_record(folder: Folder) -> None:
    lines = [
        row(first=CANARIES["first"], last=CANARIES["last"], number=str(number))
        for number in range(20_000)
    ]
    write_csv(folder.root / "large.csv", lines, HEADER)
    process = folder.begin(*folder.ingest("large.csv"))
    deadline = time.monotonic() + 120
    while not any(folder.state.scratch.glob("ingest-*/*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert resource.prlimit(process.pid, resource.RLIMIT_CORE) == (0, 0)
    process.send_signal(signal.SIGABRT)
    output = b"".join(process.communicate())
    assert process.returncode == -signal.SIGABRT
    assert b"Fatal Python error: Aborted" in output
    assert (keys_in(output), found_in(output)) == ([], [])
    assert not list(folder.root.rglob("core*"))
    # The private copy of the source goes with the next command that takes the store.
    assert folder.run(*folder.ingest()) == 0
    assert not list(folder.state.scratch.iterdir())
    folder.require_clean()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has prctl")
def test_no_other_program_can_look_into_the_memory() -> None:
    asked = (
        "import ctypes, resource\n"
        "from accord.agent.machine.hardening import refuse_dumps\n"
        "get = lambda: ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)\n"  # PR_GET_DUMPABLE
        "before = get()\n"
        "refuse_dumps()\n"
        "print(before, get(), *resource.getrlimit(resource.RLIMIT_CORE))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["1", "0", "0", "0"]


def test_answers_refusals_receipts_and_figures_have_no_key(world: World) -> None:
    """Keys of the store, of audits and of the agency, after questions of all ends."""
    state = world.states[AGENCY]
    for name in ("audit.key", "pseudonym.key", "store.key"):
        (state.keys / name).write_bytes(KEYS[name])
    identify([world.states[each] for each in THREE], world.clock())
    world.whole(world.asked())
    world.ready(world.asked())  # it never ends
    said = figures(world).text()
    with state.ledger() as connection:
        said += "".join(str(each.as_json()) for each in receipts(connection)).encode()
    assert b"accord_agent_questions" in said
    assert keys_in(said) == []
    for path in state.root.rglob("*"):
        if path.is_file() and path.name not in KEYS:
            assert keys_in(path.read_bytes()) == [], path.name
