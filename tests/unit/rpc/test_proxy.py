# SPDX-License-Identifier: Apache-2.0
"""The way to a hub through a proxy that asks for a name and a password."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from accord.agent.network.identity import IdentityFiles
from accord.agent.network.renewal import renew
from accord.core.errors import ConfigurationError, Unreachable
from accord.rpc.address import Address
from accord.rpc.first_contact import fetch_authority, presented_chain
from accord.rpc.proxy import Proxy, proxy_for
from tests.unit.agent.joining import join_now
from tests.unit.rpc.connect_proxy import ConnectProxy, connect_proxy
from tests.unit.rpc.hub_double import running_hub

AWAY = "hub.example.org"
TOLD = "worker:p@ss:word"
WRITTEN = "worker:p%40ss%3Aword"


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Take this machine's own proxies out of the way."""
    for name in ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy"):
        for each in (name, name.upper()):
            monkeypatch.delenv(each, raising=False)
    for each in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(each, raising=False)
    return monkeypatch


def through(monkeypatch: pytest.MonkeyPatch, proxy: ConnectProxy, who: str) -> None:
    monkeypatch.setenv("https_proxy", f"http://{who}@127.0.0.1:{proxy.port}")


async def test_an_agent_joins_and_renews_through_a_proxy(
    tmp_path: Path, quiet: pytest.MonkeyPatch
) -> None:
    """First contact, enrolment, and the agents' port: all three go through it."""
    async with running_hub() as hub:
        with connect_proxy(TOLD) as proxy:
            through(quiet, proxy, WRITTEN)
            files = IdentityFiles(tmp_path / "keys")
            files.folder.mkdir(mode=0o700)
            token = hub.new_token("shelter-north")
            away = Address(AWAY, hub.public_address.port)
            member = await asyncio.to_thread(join_now, files, away, str(token))
            assert member.hub.host == AWAY
            await renew(files, files.load())
            targets = {each.rpartition(":")[0] for each in proxy.asked}
            assert targets == {AWAY}
            assert {int(each.rpartition(":")[2]) for each in proxy.asked} == {
                hub.public_address.port,
                member.hub.port,
            }
            assert not proxy.refused


async def test_a_wrong_password_is_named(quiet: pytest.MonkeyPatch) -> None:
    async with running_hub() as hub:
        with connect_proxy(TOLD) as proxy:
            through(quiet, proxy, "worker:wrong")
            away = Address(AWAY, hub.public_address.port)
            with pytest.raises(Unreachable) as caught:
                await asyncio.to_thread(fetch_authority, away, bytes(32))
    assert caught.value.reason == "PROXY_LOGIN"
    assert "wrong" not in caught.value.sentence
    assert "worker" not in caught.value.sentence


def test_a_proxy_that_does_not_connect_is_named(quiet: pytest.MonkeyPatch) -> None:
    with connect_proxy() as proxy:
        quiet.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(Unreachable) as caught:
            presented_chain(Address(AWAY, 1))
    assert caught.value.reason == "PROXY_REFUSED"
    assert "502" in caught.value.sentence


@pytest.mark.parametrize("status", ["9" * 5000, "twenty", ""], ids=len)
def test_what_answers_like_no_proxy_is_named_too(
    quiet: pytest.MonkeyPatch, status: str
) -> None:
    with connect_proxy(status=status) as proxy:
        quiet.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(Unreachable) as caught:
            presented_chain(Address(AWAY, 1))
    assert caught.value.reason == "PROXY_REFUSED"
    assert "(status 0)" in caught.value.sentence


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"https_proxy": ""}, None),
        ({"HTTPS_PROXY": "http://a:1"}, None),
        ({"https_proxy": "http://a:1"}, ("https_proxy", "a", 1, None)),
        ({"https_proxy": "http://a"}, ("https_proxy", "a", 80, None)),
        ({"http_proxy": "http://a:1"}, ("http_proxy", "a", 1, None)),
        (
            {"grpc_proxy": "http://g:2", "https_proxy": "http://a:1"},
            ("grpc_proxy", "g", 2, None),
        ),
        (
            {"https_proxy": "http://u:p%40@[::1]:3"},
            ("https_proxy", "::1", 3, "u:p@"),
        ),
        ({"https_proxy": "http://a:1", "no_proxy": "example.org"}, None),
        ({"https_proxy": "http://a:1", "no_proxy": "x, .example.org"}, None),
        (
            {"https_proxy": "http://a:1", "no_grpc_proxy": "x", "no_proxy": AWAY},
            ("https_proxy", "a", 1, None),
        ),
    ],
)
def test_the_proxy_is_the_one_that_grpc_takes(
    environment: dict[str, str], expected: tuple[str, str, int, str | None] | None
) -> None:
    found = proxy_for(Address(AWAY, 8443), environment)
    if expected is None:
        assert found is None
    else:
        variable, host, port, credentials = expected
        assert found == Proxy(variable, Address(host, port), credentials)
        assert "p@" not in repr(found)


def test_this_machine_is_never_behind_a_proxy() -> None:
    assert proxy_for(Address("127.0.0.1", 1), {"https_proxy": "http://a:1"}) is None


@pytest.mark.parametrize("text", ["a:1", "socks5://a:1", "http://", "http://a:b"])
def test_what_is_no_address_of_a_proxy_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        proxy_for(Address(AWAY, 1), {"https_proxy": text})
    assert caught.value.reason == "PROXY_INVALID"
