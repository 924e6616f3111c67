# SPDX-License-Identifier: Apache-2.0
"""An agency's lines, as they arrive by mail and are pasted."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.client.policy.agency_keys import AgencyKeys, agency_keys, pasted_keys
from accord.core.errors import ConfigurationError, InvalidQuery
from accord.trust.keys import text_of
from tests.member_keys import other_keys


def listed(identity: str) -> AgencyKeys:
    """Return all keys of the agency that has *identity*."""
    return AgencyKeys(key=identity, **other_keys(identity))


def lines(keys: AgencyKeys, indent: str = "") -> str:
    """Return them as an agency's program prints them."""
    return "".join(
        f"{indent}{name}: {each}\n" for name, each in keys.entries().items() if each
    )


NORTH, POLICE = (
    # The names of tests have these in them, and are the same in every process.
    listed(text_of(Ed25519PrivateKey.from_private_bytes(seed * 32)))
    for seed in (b"n", b"p")
)
BROKEN = "".join(
    "\n".join(textwrap.wrap(line, 76, break_on_hyphens=False)) + "\n"
    for line in lines(NORTH).splitlines()
)


@pytest.mark.parametrize(
    "text",
    [
        f"shelter-north:\n{lines(NORTH, '  ')}",
        f"shelter-north\n{lines(NORTH)}",
        f"shelter-north=\n\n{lines(NORTH)}\n\n",
        f"shelter-north={lines(NORTH)}",
        f"shelter-north = {NORTH.key}\n{lines(NORTH).partition(chr(10))[2]}",
        f"shelter-north:\r\n{lines(NORTH)}".replace("\n", "\r\n"),
        f"shelter-north:\n{BROKEN}",
        f"# by mail\nshelter-north:\n{lines(NORTH)}# SHA-256 of kem: 0123\n",
        f"shelter-north:\n{''.join(sorted(lines(NORTH).splitlines(keepends=True)))}",
    ],
)
def test_the_three_lines_are_read_however_they_arrive(text: str) -> None:
    """Indented, with blanks between, broken by a mail program, in any order."""
    assert pasted_keys(text) == {"shelter-north": NORTH}


def test_several_agencies_follow_each_other() -> None:
    """Each below its label; a machine without ML-KEM prints two lines."""
    without = AgencyKeys(key=POLICE.key, exchange=POLICE.exchange)
    text = f"shelter-north:\n{BROKEN}\ncity-police:\n{lines(without)}"
    assert pasted_keys(text) == {"shelter-north": NORTH, "city-police": without}
    assert pasted_keys("") == {}


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        (f"shelter-north={NORTH.key}", "missing: exchange:"),
        (f"shelter-north:\nkey: {NORTH.key}", "missing: exchange:"),
        (f"shelter-north:\nexchange: {NORTH.exchange}", "missing: key:"),
        (f"shelter-north:\nkem: {NORTH.kem}", "missing: key:, exchange:"),
        ("shelter-north:", "missing: key:, exchange:"),
    ],
)
def test_a_key_alone_is_refused_with_what_is_missing(text: str, missing: str) -> None:
    """And with who prints it."""
    with pytest.raises(InvalidQuery) as caught:
        pasted_keys(text)
    assert caught.value.reason == "AGENCY_KEYS_INCOMPLETE"
    for words in (missing, "shelter-north", "accord-agent keys"):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (lines(NORTH), "OPTION_MALFORMED"),
        (f"north:\n{lines(NORTH)}{lines(POLICE)}", "OPTION_MALFORMED"),
        (f"north:\n{lines(NORTH)}north:\n{lines(NORTH)}", "OPTION_MALFORMED"),
        (f"Give these lines to your board\n{lines(NORTH)}", "OPTION_MALFORMED"),
        (f"north: hello\n{lines(NORTH)}", "OPTION_MALFORMED"),
        (f"north:\n{lines(NORTH)[:-20]}", "KEY_INVALID"),
        (f"north:\n{lines(NORTH).upper()}", "OPTION_MALFORMED"),
        (f"north:\nkey: {NORTH.exchange}\nexchange: {NORTH.key}", "KEY_INVALID"),
    ],
)
def test_what_is_not_such_lines_is_refused(text: str, reason: str) -> None:
    """Half a key is no key, and nobody's keys are given to somebody else."""
    with pytest.raises(InvalidQuery) as caught:
        pasted_keys(text)
    assert caught.value.reason == reason


def test_one_agencys_lines_can_be_a_file(tmp_path: Path) -> None:
    """Or the lines themselves; a label in them is another agency's."""
    file = tmp_path / "north.keys"
    file.write_text(lines(NORTH), "utf-8")
    assert agency_keys("shelter-north", str(file)) == NORTH
    assert agency_keys("shelter-north", lines(NORTH)) == NORTH
    with pytest.raises(InvalidQuery, match="short name in a line"):
        agency_keys("shelter-north", f"{lines(NORTH)}city-police:\n{lines(POLICE)}")
    with pytest.raises(ConfigurationError) as caught:
        agency_keys("shelter-north", str(tmp_path / "nowhere"))
    assert caught.value.reason == "KEY_UNREADABLE"
