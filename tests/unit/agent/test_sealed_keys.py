# SPDX-License-Identifier: Apache-2.0
"""Keys that are sealed under a key-encrypting key."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.agent.keys.envelope import MAGIC, Altered, is_sealed, seal, unseal
from accord.agent.keys.files import make_key, read_key, read_secret
from accord.agent.keys.kek import CREDENTIAL, OLD_CREDENTIAL, KekBytes
from accord.agent.keys.marker import SEALED, Marker
from accord.agent.rounds.sealing import AUDIT_KEY
from accord.agent.settings import CREDENTIALS
from accord.agent.state import AGENCY_KEY, AgentState
from accord.core.errors import ConfigurationError
from tests.unit.agent.command import Command, Said

KEYS = ["agency.key", "audit.key", "pseudonym.key", "store.key"]

keys_of_keys = st.binary(min_size=32, max_size=32).map(
    lambda key: KekBytes(key, "test")
)


@given(keys_of_keys, st.binary(max_size=200), st.data())
def test_an_envelope_opens_as_what_was_sealed_and_nothing_else(
    kek: KekBytes, content: bytes, data: st.DataObject
) -> None:
    sealed = seal(kek, "a.key", content)
    assert is_sealed(sealed)
    assert unseal(kek, "a.key", sealed) == content
    assert seal(kek, "a.key", content) != sealed
    place = data.draw(st.integers(0, len(sealed) - 1))
    other = bytearray(sealed)
    other[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Altered):
        unseal(kek, "a.key", bytes(other))
    with pytest.raises(Altered):
        unseal(kek, "a.key", sealed[:place])
    with pytest.raises(Altered):
        unseal(kek, "b.key", sealed)
    with pytest.raises(Altered):
        unseal(KekBytes(bytes(31) + b"\x01", "other"), "a.key", sealed)


class Agency:
    """A state directory, and a folder on another volume."""

    def __init__(self, root: Path, command: Command) -> None:
        self.state = AgentState.create(root / "state")
        self.volume = root / "volume"
        self.volume.mkdir()
        self.command = command
        self.keys = {name: self.content(name) for name in KEYS}

    @property
    def here(self) -> tuple[object, ...]:
        return "--state", self.state.root

    def run(self, *words: object, status: int = 0) -> Said:
        said = self.command(*words, "--state", self.state.root)
        assert said.status == status, said.stderr
        return said

    def refused(self, *words: object, status: int = 3) -> str:
        error = json.loads(self.run(*words, "--json", status=status).stderr)["error"]
        assert all(key.hex() not in error["text"] for key in self.keys.values())
        return str(error["reason"])

    def kek(self, name: str = "kek") -> Path:
        file = self.volume / name
        said = self.command("keys", "make-kek", file)
        assert said.status == 0, said.stderr
        return file

    def set_up(self, kek: Path, old: Path | None = None) -> None:
        text = f'[keys]\nkek_file = "{kek}"\n'
        if old is not None:
            text += f'[keys.old]\nkek_file = "{old}"\n'
        self.state.config.write_text(text)

    def content(self, name: str) -> bytes:
        return read_secret(self.state.keys / name)

    def require_keys(self) -> None:
        assert {name: self.content(name) for name in KEYS} == self.keys

    def sealed(self) -> list[str]:
        return [
            name for name in KEYS if is_sealed((self.state.keys / name).read_bytes())
        ]


@pytest.fixture
def agency(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Agency:
    monkeypatch.delenv(CREDENTIALS, raising=False)
    return Agency(tmp_path, Command(monkeypatch, capsys))


def test_keys_are_sealed_with_a_file_and_opened_again(agency: Agency) -> None:
    shown = agency.run("keys").stdout
    agency.set_up(agency.kek())
    assert agency.sealed() == []
    found = json.loads(agency.run("keys", "seal", "--json").stdout)
    assert found["changed"] == agency.sealed() == KEYS
    agency.require_keys()
    everything = b"".join(
        path.read_bytes() for path in agency.state.root.rglob("*") if path.is_file()
    )
    assert all(key not in everything for key in agency.keys.values())
    assert all(
        (agency.state.keys / name).stat().st_mode & 0o777 == 0o600 for name in KEYS
    )
    assert agency.run("keys").stdout == shown
    assert (
        "are there, sealed" in agency.command("doctor", "--json", *agency.here).stdout
    )
    again = json.loads(agency.run("keys", "seal", "--json").stdout)
    assert (again["changed"], again["unchanged"]) == ([], KEYS)
    assert "plain files now" in agency.run("keys", "unseal").stdout
    assert agency.sealed() == []
    agency.state.config.unlink()
    agency.require_keys()


def test_a_key_that_is_made_afterwards_is_sealed_too(agency: Agency) -> None:
    agency.set_up(agency.kek())
    agency.run("keys", "seal")
    later = agency.state.keys / "later.key"
    make_key(later)
    assert is_sealed(later.read_bytes())
    assert len(read_key(later)) == 32
    agency.run("keys", "unseal")
    assert len(later.read_bytes()) == 32
    make_key(agency.state.keys / "last.key")
    assert len((agency.state.keys / "last.key").read_bytes()) == 32


@pytest.mark.parametrize(
    "words",
    [
        ("keys",),
        ("status",),
        ("init",),
        ("keys", "seal"),
        ("keys", "unseal"),
        ("keys", "rotate-kek"),
    ],
    ids=" ".join,
)
def test_without_the_kek_a_command_says_where_it_is_looked_for(
    agency: Agency, words: tuple[str, ...]
) -> None:
    kek = agency.kek()
    agency.set_up(kek)
    agency.run("keys", "seal")
    kek.rename(agency.volume / "away")
    assert agency.refused(*words) == "KEK_ABSENT"
    agency.state.config.unlink()
    assert agency.refused(*words) == "KEK_ABSENT"
    said = " ".join(agency.run(*words, status=3).stderr.split())
    assert re.search(r"systemd credential accord-agent\.kek .*kek_file \(not set", said)
    assert "systemd-run" in said


def test_a_service_has_it_as_a_credential(
    agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    agency.kek(CREDENTIAL).chmod(0o440)  # as systemd shows its access list
    monkeypatch.setenv(CREDENTIALS, str(agency.volume))
    assert "systemd credential" in agency.run("keys", "seal").stdout
    agency.require_keys()
    (agency.volume / CREDENTIAL).rename(agency.volume / OLD_CREDENTIAL)
    agency.require_keys()
    agency.kek(CREDENTIAL)
    agency.require_keys()
    agency.run("keys", "rotate-kek")
    (agency.volume / OLD_CREDENTIAL).unlink()
    agency.require_keys()
    monkeypatch.delenv(CREDENTIALS)
    assert agency.refused("keys") == "KEK_ABSENT"


def test_the_kek_can_be_changed(agency: Agency) -> None:
    first, second = agency.kek("first"), agency.kek("second")
    agency.set_up(first)
    assert agency.refused("keys", "rotate-kek", status=4) == "KEYS_NOT_SEALED"
    agency.run("keys", "seal")
    assert agency.refused("keys", "rotate-kek", status=4) == "KEK_NOT_CHANGED"
    agency.set_up(second)
    assert agency.refused("keys") == "KEK_WRONG"
    assert agency.refused("keys", "rotate-kek") == "KEK_WRONG"
    agency.set_up(second, first)
    agency.require_keys()
    agency.run("keys", "rotate-kek")
    first.unlink()
    agency.set_up(second)
    agency.require_keys()


class Cut(BaseException):
    """Power is cut."""


Step = Callable[[Agency], None]


def _seal(agency: Agency) -> None:
    agency.command("keys", "seal", "--state", agency.state.root)


def _unseal(agency: Agency) -> None:
    agency.command("keys", "unseal", "--state", agency.state.root)


def _rotate(agency: Agency) -> None:
    agency.command("keys", "rotate-kek", "--state", agency.state.root)


STEPS = {_seal: 6, _unseal: 6, _rotate: 6}
"""How often each writes: the marker, the keys, and the marker again or its end."""


@pytest.mark.parametrize(
    ("step", "cut_at"),
    [(step, at) for step, writes in STEPS.items() for at in range(1, writes + 1)],
)
def test_every_key_can_be_read_wherever_it_is_cut_off(
    agency: Agency, monkeypatch: pytest.MonkeyPatch, step: Step, cut_at: int
) -> None:
    first, second = agency.kek("first"), agency.kek("second")
    agency.set_up(first)
    if step is not _seal:
        agency.run("keys", "seal")
    if step is _rotate:
        agency.set_up(second, first)
    replaced, unlinked = Path.replace, Path.unlink
    done = 0

    def cut() -> None:
        nonlocal done
        done += 1
        if done == cut_at:
            raise Cut

    def replace(path: Path, target: Path) -> Path:
        cut()
        return replaced(path, target)

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.name == SEALED:
            cut()
        unlinked(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        patch.setattr(Path, "unlink", unlink)
        with pytest.raises(Cut):
            step(agency)
    # What a power cut leaves; nothing, where only the end was missing.
    assert list(agency.state.keys.glob(".*")) or (step is _unseal and cut_at == 6)
    agency.require_keys()
    step(agency)
    agency.require_keys()
    assert not list(agency.state.keys.glob(".*"))
    assert agency.sealed() == ([] if step is _unseal else KEYS)
    if step is _rotate:
        agency.set_up(second)
        agency.require_keys()
    if step is _unseal:
        agency.state.config.unlink()
        agency.require_keys()
    else:
        _plant(agency, KEYS[0])
        assert agency.refused("keys") == "SECRET_NOT_SEALED"


def _plant(agency: Agency, name: str, content: bytes = bytes(32)) -> None:
    (agency.state.keys / name).write_bytes(content)


@pytest.mark.parametrize("marker", ["kept", "gone", "of an older agent"])
@pytest.mark.parametrize("name", KEYS)
def test_a_plain_file_in_the_place_of_a_sealed_key_is_refused(
    agency: Agency, name: str, marker: str
) -> None:
    agency.set_up(agency.kek())
    agency.run("keys", "seal")
    sealed = (agency.state.keys / name).read_bytes()
    if marker == "gone":
        (agency.state.keys / SEALED).unlink()
    elif marker != "kept":
        _plant(agency, SEALED, sealed[len(MAGIC) :][:16].hex().encode() + b"\n")
    agency.require_keys()
    _plant(agency, name)
    with pytest.raises(ConfigurationError, match="is not sealed") as caught:
        agency.content(name)
    assert caught.value.reason == "SECRET_NOT_SEALED"
    assert (
        "SECRET_NOT_SEALED" in agency.command("doctor", "--json", *agency.here).stdout
    )
    for words in ("seal", "unseal", "rotate-kek"):
        if words != "rotate-kek" or marker != "gone":
            assert agency.refused("keys", words) == "SECRET_NOT_SEALED"
    assert (agency.state.keys / name).read_bytes() == bytes(32)
    _plant(agency, name, sealed)
    agency.require_keys()


def test_a_key_that_was_restored_from_a_plain_copy_is_sealed_on_request(
    agency: Agency,
) -> None:
    agency.set_up(agency.kek())
    agency.run("keys", "seal")
    _plant(agency, "store.key", agency.keys["store.key"])
    assert agency.refused("keys", "seal") == "SECRET_NOT_SEALED"
    said = json.loads(agency.run("keys", "seal", "--take-plain", "--json").stdout)
    assert said["changed"] == ["store.key"]
    agency.require_keys()
    assert agency.sealed() == KEYS


def test_nobody_without_the_kek_says_that_a_key_may_be_plain(agency: Agency) -> None:
    agency.set_up(agency.kek())
    agency.run("keys", "seal")
    _plant(agency, "store.key")
    forged = seal(KekBytes(bytes(32), "mine"), SEALED, Marker(opening=True).content())
    _plant(agency, SEALED, forged)
    with pytest.raises(ConfigurationError) as caught:
        agency.content("store.key")
    assert caught.value.reason == "KEK_WRONG"


def test_a_kek_beside_the_keys_is_refused(agency: Agency) -> None:
    kek = agency.kek()
    kek.rename(agency.state.keys / "kek")
    for named in (agency.state.keys / "kek", Path("keys/kek")):
        agency.set_up(named)
        assert agency.refused("keys", "seal") == "KEK_BESIDE_KEYS"
    assert agency.sealed() == []


def test_a_kek_that_is_short_or_exposed_is_refused(agency: Agency) -> None:
    kek = agency.kek()
    agency.set_up(kek)
    kek.chmod(0o644)
    assert agency.refused("keys", "seal") == "SECRET_EXPOSED"
    kek.chmod(0o600)
    kek.write_bytes(b"short")
    assert agency.refused("keys", "seal") == "KEK_BROKEN"
    assert agency.sealed() == []


def test_a_sealed_key_that_was_changed_or_exchanged_is_refused(agency: Agency) -> None:
    agency.set_up(agency.kek())
    agency.run("keys", "seal")
    file = agency.state.keys / AGENCY_KEY
    file.write_bytes((agency.state.keys / "store.key").read_bytes())
    assert agency.refused("keys") == "SECRET_BROKEN"
    file.write_bytes(b"ACCORD-SEALED\x02" + bytes(80))  # of a later version
    assert agency.refused("keys") == "SECRET_BROKEN"


def test_a_sealed_audit_key_opens_where_it_was_moved_to(agency: Agency) -> None:
    agency.set_up(agency.kek())
    agency.run("keys", "seal")
    moved = agency.volume / AUDIT_KEY
    (agency.state.keys / AUDIT_KEY).rename(moved)
    assert read_key(moved, agency.state.root) == agency.keys[AUDIT_KEY]
    with pytest.raises(ConfigurationError, match="is sealed"):
        read_key(moved)


def test_settings_name_one_place(agency: Agency) -> None:
    for text in (
        'kek_file = "/a"\npkcs11_module = "/b"\npkcs11_token = "c"',
        'pkcs11_module = "/b"',
        'pkcs11_token = "c"',
    ):
        agency.state.config.write_text(f"[keys]\n{text}\n")
        assert agency.refused("keys", "seal") == "SETTINGS_INVALID"
