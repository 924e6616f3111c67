# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from accord.core.errors import ConfigurationError
from accord.rpc.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("hub.example.org", Address("hub.example.org", 8443)),
        (" hub.example.org:9000 ", Address("hub.example.org", 9000)),
        ("localhost:1", Address("localhost", 1)),
        ("127.0.0.1:65535", Address("127.0.0.1", 65535)),
        ("[2001:db8::1]", Address("2001:db8::1", 8443)),
        ("[::1]:9000", Address("::1", 9000)),
    ],
)
def test_an_address_is_read(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":8443",
        "hub.example.org:",
        "hub.example.org:0",
        "hub.example.org:65536",
        "hub:8443:8444",
        "https://hub.example.org",
        "::1",
        "[::g]:8443",
        "hub example",
        "-hub",
        "hub..org",
        "a" * 300,
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="host:port") as caught:
        parse_address(text)
    assert caught.value.reason == "ADDRESS_INVALID"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("LOCALHOST", True),
        ("10.0.0.1", False),
        ("hub.example.org", False),
    ],
)
def test_this_machine_is_known(host: str, loopback: bool) -> None:
    assert Address(host, 1).is_loopback is loopback
