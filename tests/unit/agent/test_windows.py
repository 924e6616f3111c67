# SPDX-License-Identifier: Apache-2.0
"""What is done with the two calls of Windows; the calls themselves are replaced."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.agent.machine import windows
from accord.core.errors import ConfigurationError

PLACE = Path("agency.key")
ME = "S-1-5-21-1-2-3-1001"
OTHER = "S-1-5-21-1-2-3-1002"


def crypt(content: bytes, protect: bool) -> bytes:
    """Stand in for DPAPI: opens only what it closed."""
    if protect:
        return b"closed:" + content[::-1]
    if not content.startswith(b"closed:"):
        raise ConfigurationError("DPAPI_REFUSED", "no")
    return content.removeprefix(b"closed:")[::-1]


@given(st.binary(max_size=64))
def test_a_key_comes_back_as_it_was(key: bytes) -> None:
    wrapped = windows.wrap(key, crypt)
    assert windows.is_wrapped(wrapped)
    assert windows.unwrap(wrapped, crypt) == key


@pytest.mark.parametrize("content", [b"", b"\0" * 32, windows.MAGIC[:-1] + b"\x02x"])
def test_what_was_not_wrapped_is_not_opened(content: bytes) -> None:
    assert not windows.is_wrapped(content)
    with pytest.raises(ConfigurationError) as caught:
        windows.unwrap(content, crypt)
    assert caught.value.reason == "DPAPI_REFUSED"


def test_a_wrapped_key_of_another_account_is_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        windows.unwrap(windows.MAGIC + b"something else", crypt)
    assert caught.value.reason == "DPAPI_REFUSED"


def test_elsewhere_a_wrapped_key_is_refused_in_a_sentence() -> None:
    with pytest.raises(ConfigurationError, match="opens only there"):
        windows.unwrap(windows.MAGIC + b"x")
    with pytest.raises(ConfigurationError, match="only Windows"):
        windows.readers(PLACE)


def entry(who: str, rights: str = "FA", kind: str = "A") -> str:
    return f"({kind};;{rights};;;{who})"


@pytest.mark.parametrize(
    ("list_", "others"),
    [
        (f"D:P{entry(ME)}", []),
        (f"D:PAI{entry(ME)}{entry('SY')}{entry('BA')}", []),
        (f"D:{entry('OW')}{entry('S-1-5-18')}", []),
        (f"D:{entry(ME)}{entry('BU', '0x1200a9')}", ["BU"]),  # read and execute
        (f"D:{entry(ME)}{entry(OTHER, 'FR')}", [OTHER]),
        (f"D:{entry('WD', 'GR')}{entry('AU', 'CCSWRP')}", ["AU", "WD"]),
        (f"D:{entry(OTHER, 'WD')}", [OTHER]),  # may change the list
        (f"D:{entry(OTHER, 'FW')}{entry('BU', '0x100000')}", []),  # cannot read
        (f"D:{entry(OTHER, 'FA', 'D')}", []),  # denied
        (f"D:{entry(OTHER, 'FA', 'XA')}", [OTHER]),  # on a condition
        ("D:NO_ACCESS_CONTROL", ["WD"]),
        ("", ["WD"]),
        (f"D:P{entry(ME)}S:(AU;SAFA;FA;;;WD)", []),  # what is logged lets nobody in
    ],
)
def test_who_may_read_a_file(list_: str, others: list[str]) -> None:
    found = windows.readers(PLACE, lambda _: f"O:{ME}{list_}")
    assert found == others


def test_a_secret_that_others_read_is_refused_with_the_way_out() -> None:
    windows.require_private(PLACE, lambda _: f"O:{ME}D:P{entry(ME)}")
    with pytest.raises(ConfigurationError, match="icacls") as caught:
        windows.require_private(PLACE, lambda _: f"O:{ME}D:{entry('BU')}")
    assert caught.value.reason == "SECRET_EXPOSED"
