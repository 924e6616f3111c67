# SPDX-License-Identifier: Apache-2.0
"""A key-encrypting key in a PKCS#11 token: SoftHSM, which is one without hardware."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from accord.agent.keys.envelope import Altered, is_sealed, seal, unseal
from accord.agent.keys.files import ring_of
from accord.agent.keys.token_kek import TokenKek
from accord.agent.settings import CREDENTIALS
from tests.unit.agent.command import Command
from tests.unit.agent.test_sealed_keys import KEYS, Agency

pkcs11 = pytest.importorskip(
    "pkcs11", reason="python-pkcs11 is not installed (extra pkcs11)"
)

PIN = "quokka-4417"

MODULES = [
    *Path("/usr/lib").glob("softhsm/libsofthsm2.so"),
    *Path("/usr/lib").glob("*/softhsm/libsofthsm2.so"),
    *Path("/usr/lib64").glob("*softhsm*/libsofthsm2.so"),
]

pytestmark = pytest.mark.skipif(
    not MODULES or shutil.which("softhsm2-util") is None,
    reason="SoftHSM is not installed (Debian's softhsm2)",
)


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The module that speaks with a new token; its library is loaded only once."""
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(
        f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(configuration))
        subprocess.run(
            [
                *("softhsm2-util", "--init-token", "--free", "--label", "office"),
                *("--pin", PIN, "--so-pin", "12345678"),
            ],
            check=True,
            capture_output=True,
        )
        pkcs11.lib(str(MODULES[0]))  # reads the variable
    return MODULES[0]


@pytest.fixture
def agency(
    tmp_path: Path,
    token: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Agency:
    monkeypatch.delenv(CREDENTIALS, raising=False)
    made = Agency(tmp_path, Command(monkeypatch, capsys))
    pin = made.volume / "pin"
    pin.touch(mode=0o600)
    pin.write_text(f"{PIN}\n")
    name(made, token, f"kek-{tmp_path.name}")
    return made


def name(agency: Agency, module: Path, key: str, more: str = "") -> None:
    agency.state.config.write_text(
        f'[keys]\npkcs11_module = "{module}"\npkcs11_token = "office"\n'
        f'pkcs11_key = "{key}"\npkcs11_pin_file = "{agency.volume}/pin"\n{more}'
    )


def test_keys_are_sealed_with_a_key_that_never_leaves_the_token(agency: Agency) -> None:
    assert agency.refused("keys", "seal") == "KEK_TOKEN"  # there is none yet
    assert agency.sealed() == []
    agency.run("keys", "make-kek")
    said = agency.run("keys", "seal").stdout
    assert "PKCS#11 token 'office'" in " ".join(said.split())
    assert agency.sealed() == KEYS
    agency.require_keys()
    kek = ring_of(agency.state.root).current()
    assert isinstance(kek, TokenKek)
    with kek._key() as key:
        assert key[pkcs11.Attribute.SENSITIVE] is True
        assert key[pkcs11.Attribute.EXTRACTABLE] is False
    agency.run("keys", "unseal")
    agency.require_keys()


def test_a_key_of_that_name_is_not_overwritten(agency: Agency) -> None:
    agency.run("keys", "make-kek")
    said = agency.run("keys", "make-kek", status=3).stderr
    assert "already" in said


def test_what_a_token_sealed_opens_as_that_and_nothing_else(agency: Agency) -> None:
    agency.run("keys", "make-kek")
    kek = ring_of(agency.state.root).current()
    assert kek is not None
    sealed = seal(kek, "a.key", b"content")
    assert is_sealed(sealed)
    assert unseal(kek, "a.key", sealed) == b"content"
    for other in (sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:-1]):
        with pytest.raises(Altered):
            unseal(kek, "a.key", other)
    with pytest.raises(Altered):
        unseal(kek, "b.key", sealed)


def test_a_wrong_pin_or_an_absent_token_is_said_without_the_pin(agency: Agency) -> None:
    agency.run("keys", "make-kek")
    agency.run("keys", "seal")
    (agency.volume / "pin").write_text("quokka-wrong")
    said = agency.run("keys", status=3).stderr
    assert "cannot be used" in " ".join(said.split())
    assert "quokka" not in said
    (agency.volume / "pin").write_text("")
    assert agency.refused("keys") == "KEK_TOKEN"
    assert PIN not in repr(TokenKek(module="m", token="t", label="l", pin=PIN))


def test_a_file_can_take_the_place_of_a_token(agency: Agency, token: Path) -> None:
    agency.run("keys", "make-kek")
    agency.run("keys", "seal")
    key, kek = f"kek-{agency.state.root.parent.name}", agency.kek()
    agency.state.config.write_text(
        f'[keys]\nkek_file = "{kek}"\n[keys.old]\npkcs11_module = "{token}"\n'
        f'pkcs11_token = "office"\npkcs11_key = "{key}"\n'
        f'pkcs11_pin_file = "{agency.volume}/pin"\n'
    )
    agency.run("keys", "rotate-kek")
    agency.set_up(kek)
    agency.require_keys()
