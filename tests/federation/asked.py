# SPDX-License-Identifier: Apache-2.0
"""One question on its way through a network in which things go wrong."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import accord.client as accord
from accord.client.question import Question
from accord.core.agreement import Agreement
from accord.core.terms import Requisition, Terms, terms
from accord.rpc.codec import requisition_from_bytes
from accord.v1 import analyst_pb2
from tests.federation.network import Network
from tests.federation.processes import wait_until
from tests.federation.small_world import PURPOSE, THREE, SmallWorld

_EVENTS = "SELECT kind FROM ledger_event WHERE entry = ? ORDER BY height"

_UNPAID: tuple[list[str], ...] = ([], ["reserve", "give back"])
"""What a ledger says of a question that cost nothing."""


class Asked:
    """One question on its way, with somebody waiting for its answer all the time."""

    def __init__(self, network: Network, hub: accord.Hub, world: SmallWorld) -> None:
        """Ask it; nobody has asked it before."""
        self.network = network
        self.hub = hub
        self.id = str(uuid.uuid4())
        self.charged = network.charged()
        self.truth = world.persons(THREE, lambda case: (case.district,))
        # Two releases of one question differ, so each test needs one of its own.
        number = network.rows("SELECT count(*) FROM submissions")[0][0]
        self.epsilon = 2 + number / 64
        self._waiting = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._waiting.shutdown(wait=False, cancel_futures=True)

    def question(self) -> Question:
        return self.hub.agreement("three").persons().by("district")

    def submit(self) -> None:
        pending = self.question().release(
            epsilon=self.epsilon, purpose=PURPOSE, submission_id=self.id, wait=False
        )
        self._answer = self._waiting.submit(pending.wait, timeout=60)

    def submit_again(self) -> None:
        """Ask with the same id until the hub can be reached."""

        def ask() -> bool:
            try:
                self.submit()
            except accord.Unreachable:
                return False
            return True

        wait_until(ask, "the hub can be reached")

    def state(self) -> str | None:
        found = self.network.rows("SELECT state FROM submissions WHERE id = ?", self.id)
        return found[0][0] if found else None

    def result(self) -> accord.Result:
        """Return what came of it, to the one who waited."""
        return self._answer.result(60)

    def progress(self) -> analyst_pb2.Submission:
        """Return how far it is, as the hub tells its analyst."""
        request = analyst_pb2.GetSubmissionRequest(id=self.id)
        wire = self.hub._wire
        return wire.call(wire.stub.GetSubmission, request).submission

    def wait_awaited(self, stage: str, *labels: str, attempt: int = 1) -> None:
        """Return once the hub waits for these agencies only.

        Args:
            stage: ready, masked or reveal.
            labels: who is awaited.
            attempt: number of the attempt.
        """
        number = analyst_pb2.Stage.Value(f"STAGE_{stage.upper()}")

        def look() -> bool:
            found = self.progress()
            here = found.stage, found.attempt, set(found.awaited)
            return here == (number, attempt, set(labels))

        wait_until(look, f"only {labels} are awaited in {stage} of {attempt}")

    def assert_answered_once(self, *, attempt: int = 1) -> None:
        """The one who waited has the answer, it is right, and everything agrees.

        Args:
            attempt: the one that was opened.
        """
        result = self.result()
        for row in result:
            assert row.estimate.estimate is not None
            assert row.estimate.sd is not None
            off = row.estimate.estimate - self.truth.get(row.values, 0)
            assert abs(off) < 7 * row.estimate.sd
        self._assert_charged_once(result)
        sql = "SELECT attempt FROM round WHERE query_id = ?"
        for label in THREE:
            assert self.network.agent_rows(label, sql, self.id) == [(attempt,)]
        # asked again, with the same id and by its id, it is the same
        again = self.question().release(
            epsilon=self.epsilon, purpose=PURPOSE, submission_id=self.id
        )
        assert again == result
        assert self.hub.release(self.id) == result
        assert self.hub.release(result.id).rows == result.rows

    def assert_given_back(self, agencies: tuple[str, ...] = THREE) -> None:
        """It failed, and no account of the hub or of *agencies* pays for it.

        Agencies hear of the end a moment later, when they erase what they masked.
        """
        assert self.state() == "failed"
        assert self.network.charged() == self.charged
        assert not self.network.reserved()
        assert self.network.rows(_EVENTS, self.id) == [("reserve",), ("give back",)]
        for label in agencies:
            wait_until(
                lambda label=label: self.own_events(label) in _UNPAID,  # type: ignore[misc]  # bound now
                f"{label} has nothing reserved: {self.own_events(label)}",
            )

    def own_events(self, label: str) -> list[str]:
        """Return what an agency's own ledger says of it, from the oldest on."""
        return [kind for (kind,) in self.network.agent_rows(label, _EVENTS, self.id)]

    def stage_of(self, label: str) -> str | None:
        """Return how far an agency is with it: ready, masked, revealed, erased."""
        sql = "SELECT state FROM round WHERE query_id = ?"
        found = self.network.agent_rows(label, sql, self.id)
        return found[0][0] if found else None

    def _assert_charged_once(self, result: accord.Result) -> None:
        network, paid = self.network, round(result.cost.rho * 1e9)
        after = network.charged()
        moved = {name: after[name] - self.charged.get(name, 0) for name in after}
        accounts = ["agreement/three"]
        accounts += [f"agreement/three/{each}" for each in ("analyst/ana", "analysts")]
        accounts += [f"agency/{label}" for label in THREE]
        assert {name: amount for name, amount in moved.items() if amount} == (
            dict.fromkeys(accounts, paid)
        )
        assert not network.reserved()
        assert network.rows(_EVENTS, self.id) == [("reserve",), ("charge",)]
        releases = network.rows("SELECT id FROM releases WHERE submission = ?", self.id)
        assert releases == [(result.id,)]
        for label in THREE:
            assert self.own_events(label) == ["reserve", "charge"]
            assert self.stage_of(label) == "revealed"


def terms_of(network: Network, submission: str) -> tuple[Agreement, Requisition, Terms]:
    """Return what a question was asked under, read from what agencies were sent."""
    sql = "SELECT payload FROM submissions WHERE id = ?"
    policies = network.in_force()
    model = policies.models["small-v1"]
    payload = network.rows(sql, submission)[0][0]
    requisition = requisition_from_bytes(payload, lambda *_: model)
    agreement = policies.agreements[requisition.query.agreement]
    found = terms(agreement, model, requisition.query, requisition.bounding)
    return agreement, requisition, found


def waits_for_lock(network: Network) -> bool:
    """Tell whether a thread of the hub sleeps until the database is free.

    SQLite tries again after naps, so there is a thread that naps.
    """
    tasks = Path(f"/proc/{network.hub.pid}/task")
    if not tasks.exists():
        return True
    return any(
        "nanosleep" in (task / "wchan").read_text()
        for task in tasks.iterdir()
        if (task / "wchan").exists()
    )
