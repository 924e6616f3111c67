# SPDX-License-Identifier: Apache-2.0
"""Renewal by itself, over real mutual TLS."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from accord.agent.network.identity import IdentityFiles
from accord.agent.network.renewal import Backoff, due_at, keep_renewed, renew
from accord.core.errors import IntegrityError, Unauthenticated, Unreachable
from accord.rpc import pki
from accord.rpc.logs import allow_listed
from accord.v1 import agent_pb2
from tests.unit.agent.joining import join
from tests.unit.rpc.hub_double import HubDouble, running_hub, until, utc_now

QUICK = Backoff(least=0.01, most=0.05)


@pytest.fixture
async def hub() -> AsyncIterator[HubDouble]:
    async with running_hub() as started:
        yield started


async def enrolled(hub: HubDouble, folder: Path) -> IdentityFiles:
    files = IdentityFiles(folder / "keys")
    files.folder.mkdir()
    await join(hub, files, hub.new_token("shelter-north"))
    return files


async def test_a_renewal_keeps_the_key_and_lasts_longer(
    hub: HubDouble, tmp_path: Path
) -> None:
    files = await enrolled(hub, tmp_path)
    before = files.load()
    await renew(files, before)
    after = files.load()
    assert after.certificate.serial_number != before.certificate.serial_number
    assert after.certificate.public_key() == before.certificate.public_key()
    after.check(utc_now())


async def test_it_is_due_at_two_thirds(hub: HubDouble, tmp_path: Path) -> None:
    hub.lifetime = datetime.timedelta(hours=30)
    certificate = (await enrolled(hub, tmp_path)).load().certificate
    left = pki.expiry_of(certificate) - due_at(certificate)
    assert abs(left - datetime.timedelta(hours=10)) < datetime.timedelta(minutes=3)


async def test_it_happens_by_itself_again_and_again(
    hub: HubDouble, tmp_path: Path
) -> None:
    hub.lifetime = datetime.timedelta(seconds=3)
    files = await enrolled(hub, tmp_path)
    told: list[int] = []
    task = asyncio.create_task(
        keep_renewed(files, lambda: told.append(1), backoff=QUICK)
    )
    await until(lambda: len(told) == 2)
    task.cancel()
    assert hub.renewals == 2
    files.load().check(utc_now())


async def test_it_tries_again_until_the_hub_is_back(
    hub: HubDouble, tmp_path: Path
) -> None:
    hub.lifetime = datetime.timedelta(hours=1)
    files = await enrolled(hub, tmp_path)
    port = hub.agent_address.port
    await hub.stop()
    later = utc_now() + datetime.timedelta(minutes=50)
    told: list[int] = []
    with capture_logs(processors=[allow_listed]) as lines:
        task = asyncio.create_task(
            keep_renewed(
                files, lambda: told.append(1), backoff=QUICK, clock=lambda: later
            )
        )
        await until(lambda: len(lines) >= 2)
        assert not told
        await hub.start(port)
        await until(lambda: told)
        task.cancel()
    assert {line["reason"] for line in lines if "reason" in line} == {"HUB_UNREACHABLE"}
    assert lines[-1]["event"] == "certificate.renewed"
    assert not any("dropped" in line for line in lines)


async def test_it_gives_up_when_the_certificate_has_ended(
    hub: HubDouble, tmp_path: Path
) -> None:
    files = await enrolled(hub, tmp_path)
    late = utc_now() + hub.lifetime
    with pytest.raises(Unauthenticated, match="enrol` again"):
        await keep_renewed(files, lambda: None, backoff=QUICK, clock=lambda: late)


async def test_a_revoked_agency_gets_none(hub: HubDouble, tmp_path: Path) -> None:
    files = await enrolled(hub, tmp_path)
    identity = files.load()
    hub.revoked.add(pki.serial_of(identity.certificate))
    with pytest.raises(Unauthenticated):
        await renew(files, identity)
    assert files.load().certificate == identity.certificate


@pytest.mark.parametrize("defect", ["nonsense", "other key", "other agency", "shorter"])
async def test_a_new_certificate_for_somebody_else_is_not_kept(
    hub: HubDouble, tmp_path: Path, defect: str
) -> None:
    files = await enrolled(hub, tmp_path)
    identity = files.load()

    async def bad(
        request: agent_pb2.RenewRequest, _context: object
    ) -> agent_pb2.RenewResponse:
        csr, label = request.certificate_request, "shelter-north"
        if defect == "other key":
            csr = pki.certificate_request(pki.new_key())
        if defect == "other agency":
            label = "city-police"
        if defect == "shorter":
            hub.lifetime = datetime.timedelta(minutes=1)
        text = "nonsense" if defect == "nonsense" else hub.issue(csr, label)
        return agent_pb2.RenewResponse(certificate=text)

    port = hub.agent_address.port
    await hub.stop()
    hub.Renew = bad  # type: ignore[method-assign, assignment]
    await hub.start(port)
    with pytest.raises(IntegrityError, match="the old one stays"):
        await renew(files, identity)
    assert files.load().certificate == identity.certificate


async def test_a_hub_that_is_away_is_named(hub: HubDouble, tmp_path: Path) -> None:
    files = await enrolled(hub, tmp_path)
    address = hub.agent_address
    await hub.stop()
    with pytest.raises(Unreachable, match=str(address)):
        await renew(files, files.load())


def test_waits_grow_with_full_jitter_up_to_a_bound() -> None:
    backoff = Backoff()
    for attempt in range(100):
        bound = min(60.0, 0.5 * 2**attempt)
        waits = [backoff.wait(attempt) for _ in range(50)]
        assert all(0 <= wait <= bound for wait in waits)
        assert len(set(waits)) == 50
