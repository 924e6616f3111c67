# SPDX-License-Identifier: Apache-2.0
"""Joining a hub, and every way in which it can fail, over real TLS."""

from __future__ import annotations

import asyncio
import datetime
import re
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from accord.agent.network.enrol import enrol
from accord.agent.network.identity import IdentityFiles, Membership
from accord.core.errors import (
    AccordError,
    ConfigurationError,
    Conflict,
    IntegrityError,
    Unauthenticated,
    Unreachable,
)
from accord.rpc import pki
from accord.rpc.address import Address
from accord.rpc.tokens import Token, TokenKind, mint
from accord.v1 import enrolment_pb2
from tests.unit.rpc.hub_double import NETWORK, HubDouble, running_hub, utc_now


@pytest.fixture
async def hub() -> AsyncIterator[HubDouble]:
    async with running_hub() as started:
        yield started


@pytest.fixture
def files(tmp_path: Path) -> IdentityFiles:
    return IdentityFiles(tmp_path)


async def join(hub: HubDouble, files: IdentityFiles, token: Token) -> Membership:
    return await asyncio.to_thread(enrol, files, hub.public_address, str(token))


async def test_a_token_gives_an_identity(hub: HubDouble, files: IdentityFiles) -> None:
    assert not files.enrolled()
    membership = await join(hub, files, hub.new_token("shelter-north"))
    assert membership == Membership(agency="shelter-north", hub=hub.agent_address)
    identity = files.load()
    identity.check(utc_now())
    assert identity.membership == membership
    assert pki.agency_of(identity.certificate) == "shelter-north"
    assert identity.hub_key == hub.signing_key.public_key().public_bytes_raw()
    assert identity.authority == hub.ca
    modes = {stat.S_IMODE(path.stat().st_mode) for path in files.folder.iterdir()}
    assert modes == {0o600}
    assert len(list(files.folder.iterdir())) == 5


async def test_the_key_is_made_once_and_kept(
    hub: HubDouble, files: IdentityFiles
) -> None:
    key = files.make_key()
    await join(hub, files, hub.new_token("shelter-north"))
    first = files.load().certificate
    await join(hub, files, hub.new_token("shelter-north"))
    again = files.load()
    assert again.key.public_key() == key.public_key()
    assert again.certificate.serial_number != first.serial_number


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("TOKEN_USED", "used before"),
        ("TOKEN_UNKNOWN", "does not know"),
        ("TOKEN_EXPIRED", "too old"),
        ("TOKEN_REVOKED", "withdrew"),
    ],
)
async def test_a_refused_token_is_explained(
    hub: HubDouble, files: IdentityFiles, reason: str, words: str
) -> None:
    hub.token_error = Unauthenticated(reason, "the hub's words")
    with pytest.raises(Unauthenticated, match=f"{words}.*operator") as caught:
        await join(hub, files, hub.new_token("shelter-north"))
    assert caught.value.reason == reason
    assert not files.enrolled()


async def test_a_token_works_once(hub: HubDouble, files: IdentityFiles) -> None:
    token = hub.new_token("shelter-north")
    await join(hub, files, token)
    before = {path: path.read_bytes() for path in files.folder.iterdir()}
    with pytest.raises(Unauthenticated, match="used before"):
        await join(hub, files, token)
    assert before == {path: path.read_bytes() for path in files.folder.iterdir()}


async def test_another_hubs_token_is_never_shown(
    hub: HubDouble, files: IdentityFiles
) -> None:
    seen: list[object] = []
    hub.Enrol = seen.append  # type: ignore[method-assign, assignment]
    other = pki.new_authority(NETWORK, utc_now())[1]
    with pytest.raises(Unauthenticated, match="Nothing was sent"):
        await join(hub, files, mint(TokenKind.ENROLMENT, pki.fingerprint(other)))
    assert not seen
    assert not list(files.folder.iterdir())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "TOKEN_MALFORMED"),
        ("accord_e1_abc", "TOKEN_MALFORMED"),
        (str(Token(TokenKind.ANALYST, bytes(32), bytes(32))), "TOKEN_WRONG_KIND"),
    ],
)
def test_what_is_no_enrolment_token_goes_nowhere(
    files: IdentityFiles, text: str, reason: str
) -> None:
    with pytest.raises(Unauthenticated) as caught:
        enrol(files, Address("127.0.0.1", 1), text)
    assert caught.value.reason == reason


def test_an_unreachable_hub_is_named(files: IdentityFiles) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = Address("127.0.0.1", free.getsockname()[1])
        token = mint(TokenKind.ENROLMENT, bytes(32))
        with pytest.raises(Unreachable, match=str(address)):
            enrol(files, address, str(token))


async def test_one_state_is_one_agency(hub: HubDouble, files: IdentityFiles) -> None:
    await join(hub, files, hub.new_token("shelter-north"))
    with pytest.raises(Conflict, match="city-police") as caught:
        await join(hub, files, hub.new_token("city-police"))
    assert caught.value.reason == "ENROLLED_AS_ANOTHER"
    assert files.load().membership.agency == "shelter-north"


@pytest.mark.parametrize(
    "defect", ["no certificate", "foreign", "other key", "other label", "key", "port"]
)
async def test_an_answer_that_makes_no_sense_changes_nothing(
    hub: HubDouble, files: IdentityFiles, defect: str
) -> None:
    good = hub.Enrol

    async def bad(
        request: enrolment_pb2.EnrolRequest, context: object
    ) -> enrolment_pb2.EnrolResponse:
        if defect == "other key":
            request.certificate_request = pki.certificate_request(pki.new_key())
        answer = await good(request, context)
        match defect:
            case "no certificate":
                answer.certificate = "nonsense"
            case "foreign":
                authority = pki.new_authority(NETWORK, utc_now())
                foreign = pki.issue(
                    *authority,
                    request.certificate_request,
                    label="shelter-north",
                    network=NETWORK,
                    lifetime=hub.lifetime,
                    now=utc_now(),
                )
                answer.certificate = pki.certificate_pem(foreign).decode()
            case "other label":
                answer.agency = "city-police"
            case "key":
                answer.hub_key = b"short"
            case "port":
                answer.agent_port = 0
            case _:
                pass
        return answer

    await hub.stop()
    hub.Enrol = bad  # type: ignore[method-assign]
    await hub.start()
    with pytest.raises(IntegrityError, match="tell the hub's operator") as caught:
        await join(hub, files, hub.new_token("shelter-north"))
    assert caught.value.reason == "ENROLMENT_INVALID"
    assert not files.enrolled()


async def identity_error(files: IdentityFiles) -> AccordError:
    with pytest.raises(AccordError) as caught:
        files.load().check(utc_now())
    return caught.value


async def test_an_identity_says_what_is_wrong_with_it(
    hub: HubDouble, files: IdentityFiles
) -> None:
    assert (await identity_error(files)).reason == "NOT_ENROLLED"
    await join(hub, files, hub.new_token("shelter-north"))
    key = files.folder / "identity.key"

    content = key.read_bytes()
    key.write_bytes(pki.key_pem(pki.new_key()))
    assert (await identity_error(files)).reason == "CERTIFICATE_KEY_MISMATCH"
    key.write_bytes(b"nonsense")
    assert (await identity_error(files)).reason == "KEY_UNREADABLE"
    key.write_bytes(content)

    key.chmod(0o644)
    assert isinstance(await identity_error(files), ConfigurationError)
    key.chmod(0o600)

    for name, bad in [("hub.json", b"{}"), ("hub.json", b"x"), ("hub.pub", b"x")]:
        path = files.folder / name
        content = path.read_bytes()
        path.write_bytes(bad)
        assert (await identity_error(files)).reason == "IDENTITY_BROKEN"
        path.write_bytes(content)

    other = pki.new_authority(NETWORK, utc_now())[1]
    (files.folder / "ca.pem").write_bytes(pki.certificate_pem(other))
    assert (await identity_error(files)).reason == "CERTIFICATE_FOREIGN"


async def test_a_certificate_that_ended_says_to_enrol_again(
    hub: HubDouble, files: IdentityFiles
) -> None:
    await join(hub, files, hub.new_token("shelter-north"))
    identity = files.load()
    after = utc_now() + hub.lifetime
    with pytest.raises(Unauthenticated, match=r"enrol` again") as caught:
        identity.check(after)
    assert caught.value.reason == "CERTIFICATE_EXPIRED"
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", caught.value.sentence)
    with pytest.raises(Unauthenticated, match="clock"):
        identity.check(utc_now() - datetime.timedelta(days=2))
