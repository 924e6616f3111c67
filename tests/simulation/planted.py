# SPDX-License-Identifier: Apache-2.0
"""Mistakes that the simulation must find, each planted in the product for one test."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import uuid
from collections.abc import Callable
from typing import Final

import pytest

from accord.agent.rounds import ending, opening, rows
from accord.agent.rounds.rows import Stage as AgentStage
from accord.agent.rounds.steps import ErasedStep
from accord.hub.audit import Event
from accord.hub.rounds.collection import Collection
from accord.hub.rounds.conclusion import Conclusion
from accord.hub.rounds.journal import Journal
from accord.hub.rounds.round import Round
from accord.hub.rounds.stages import Turn
from accord.ledger import Line, give_back, reserve
from accord.ledger.sqlite import transaction
from accord.secagg.member import make_erased
from tests.simulation.patching import Passed, around

Plant = Callable[[pytest.MonkeyPatch], None]


def charge_twice(patch: pytest.MonkeyPatch) -> None:
    """A release costs twice what it costs."""

    def wrap(real: Passed) -> Passed:
        def charge(ledger: Passed, paying: str, at: Passed) -> Passed:
            made = real(ledger, paying, at)
            again = str(uuid.uuid4())
            lines = [Line(**_fields(each)) for each in made.postings]
            reserve(ledger, again, lines, at)
            real(ledger, again, at)
            return made

        return charge

    around(patch, "accord.hub.settling.publication.charge", wrap)


def _fields(posting: Passed) -> dict[str, Passed]:
    return {name: getattr(posting, name) for name in ("account", "unit", "amount")}


def release_for_nothing(patch: pytest.MonkeyPatch) -> None:
    """What was reserved for a release is given back when it is published."""
    patch.setattr("accord.hub.settling.publication.charge", give_back)


def give_back_what_was_opened(patch: pytest.MonkeyPatch) -> None:
    """A question that fails after its opening costs nothing."""
    patch.setattr("accord.hub.settling.failure.charge", give_back)


def believe_that_all_erased(patch: pytest.MonkeyPatch) -> None:
    """One word that a seed is erased counts for the whole cohort."""

    def all_erased(tx: Passed, submission: str, attempt: int) -> bool:
        found = tx.exec_driver_sql(
            "SELECT COUNT(*) FROM round_erasures WHERE submission = ? AND attempt = ?",
            (submission, attempt),
        )
        return bool(found.scalar_one())

    patch.setattr("accord.hub.rounds.rows.all_erased", all_erased)


def forget_followers(patch: pytest.MonkeyPatch) -> None:
    """Who asked the same meanwhile is told nothing."""
    patch.setattr("accord.hub.rounds.submissions.followers", lambda *_: [])


def release_unnoted(patch: pytest.MonkeyPatch) -> None:
    """A release has no entry in the log."""

    def wrap(real: Passed) -> Passed:
        def note(tx: Passed, event: Event, at: Passed, **facts: Passed) -> None:
            if event is not Event.RELEASE_PUBLISHED:
                real(tx, event, at, **facts)

        return note

    around(patch, "accord.hub.settling.publication.note", wrap)


def draw_again(patch: pytest.MonkeyPatch) -> None:
    """A question that was answered is answered again, with other noise."""
    patch.setattr("accord.hub.releases.archive.find", lambda *_: None)


def open_two_cohorts(patch: pytest.MonkeyPatch) -> None:
    """An opening that is not complete gives way to a smaller one, and agencies join."""

    def while_revealing(self: Round, now: Passed) -> Turn | None:
        if self.current.seeds.keys() >= set(self.current.members):
            return self._end(Turn.OPENED)
        late = now >= self.call.expires_at - dt.timedelta(minutes=45)
        return self._next(now, self.awaited) if late or self.refused else None

    patch.setattr(Round, "_while_revealing", while_revealing)
    around(
        patch,
        "accord.agent.rounds.rows._ADD",
        lambda sql: sql.replace("IN ('ready', 'masked')", "<> 'erased'"),
    )

    def wrap(real: Passed) -> Passed:
        def same(row: Passed, substance: str, digest: bytes, attempt: int) -> bool:
            if row.stage is AgentStage.REVEALED and attempt > row.attempt:
                return False
            return bool(real(row, substance, digest, attempt))

        return same

    around(patch, "accord.agent.rounds.ready._same", wrap)


def open_before_it_is_committed(patch: pytest.MonkeyPatch) -> None:
    """Agencies are asked for seeds while the opening is being committed."""
    begun: list[asyncio.Task[None]] = []

    def wrap(real: Passed) -> Passed:
        async def hasty(self: Conclusion, found: Passed) -> None:
            begun.append(asyncio.create_task(real(self, found)))

        return hasty

    around(patch, "accord.hub.rounds.conclusion.Conclusion.open", wrap)


def open_uncommitted(patch: pytest.MonkeyPatch) -> None:
    """No opening is ever committed."""

    async def nothing(_self: Conclusion, _found: Passed) -> None:
        return

    patch.setattr(Conclusion, "open", nothing)


def no_caps_at_the_hub(patch: pytest.MonkeyPatch) -> None:
    """The hub looks at no limit."""

    def wrap(real: Passed) -> Passed:
        def lines(*given: Passed, **named: Passed) -> Passed:
            return [
                dataclasses.replace(each, lifetime_cap=None, windows=())
                for each in real(*given, **named)
            ]

        return lines

    around(patch, "accord.hub.questions.accounts.lines", wrap)


def no_caps_at_agencies(patch: pytest.MonkeyPatch) -> None:
    """Agencies do not look at their own limits."""
    patch.setattr("accord.agent.spending.lifetime_cap", lambda *_: 2**61)


def reveal_unpaid(patch: pytest.MonkeyPatch) -> None:
    """An agency gives a seed away, and its ledger does not know."""
    patch.setattr(opening.Opening, "_open", lambda *_: None)


def no_fence(patch: pytest.MonkeyPatch) -> None:
    """An agent that was restored from a copy goes on as if nothing were."""
    patch.setattr("accord.agent.rounds.fence.Standing.restored", False)


def fence_forgets(patch: pytest.MonkeyPatch) -> None:
    """The number beside an agent's database is never raised."""
    patch.setattr("accord.agent.rounds.fence.publish", lambda *_: None)


def erase_in_words(patch: pytest.MonkeyPatch) -> None:
    """An agency signs that it erased a seed that it has given away."""
    real = ending.Ending.settle

    def settle(
        self: Passed, connection: Passed, query_ids: Passed
    ) -> tuple[ErasedStep, ...]:
        with transaction(connection) as tx:
            known = [rows.find(tx, query) for query in query_ids]
        return real(self, connection, query_ids) + tuple(
            ErasedStep(
                query_id=row.query_id,
                erased=make_erased(self._keys, row.spec_digest, row.attempt),
            )
            for row in known
            if row is not None and row.stage is AgentStage.REVEALED
        )

    patch.setattr(ending.Ending, "settle", settle)


def keep_reservations(patch: pytest.MonkeyPatch) -> None:
    """An agency gives nothing back for what can never be opened."""
    patch.setattr("accord.agent.rounds.ending.give_back_reserved", lambda *_: None)


def write_nothing_on_a_full_disk(patch: pytest.MonkeyPatch) -> None:
    """Changes that the disk has no room for count as written."""

    def wrap(real: Passed) -> Passed:
        async def written(self: Journal, batch: Passed) -> Passed:
            found = await real(self, batch)
            return found if isinstance(found, list) else [None] * len(batch)

        return written

    around(patch, "accord.hub.rounds.journal.Journal._written", wrap)


def forget_what_waits(patch: pytest.MonkeyPatch) -> None:
    """A hub that starts takes nothing up."""

    async def resume(_self: Collection) -> None:
        return

    patch.setattr(Collection, "resume", resume)


def show_other_figures(patch: pytest.MonkeyPatch) -> None:
    """What is shown has other noise than what is stored."""

    def wrap(real: Passed) -> Passed:
        return lambda about, noisy: real(about, [each + 1 for each in noisy])

    around(patch, "accord.hub.rounds.conclusion.make_release", wrap)


def open_one_vector_twice(patch: pytest.MonkeyPatch) -> None:
    """The sum that is opened has one agency's figures in it a second time."""

    def wrap(real: Passed) -> Passed:
        def opened(receipts: Passed, vectors: Passed, seeds: Passed) -> Passed:
            total = real(receipts, vectors, seeds)
            total[0] += 1 << 3  # the least that marks a vector
            return total

        return opened

    around(patch, "accord.hub.releases.opening.open_sum", wrap)


def trust_an_old_copy(patch: pytest.MonkeyPatch) -> None:
    """A hub goes on although an agency knows of charges that it has forgotten."""
    patch.setattr("accord.hub.contact.contacts.knows_more", lambda *_: False)


def rebuild_nothing(patch: pytest.MonkeyPatch) -> None:
    """A ledger that was completed lacks what agencies proved."""
    patch.setattr("accord.hub.contact.reconcile.rebuild", lambda *_: None)


PLANTED: Final[dict[str, Plant]] = {
    each.__name__: each
    for each in (
        charge_twice,
        release_for_nothing,
        give_back_what_was_opened,
        believe_that_all_erased,
        forget_followers,
        release_unnoted,
        draw_again,
        open_two_cohorts,
        open_before_it_is_committed,
        open_uncommitted,
        no_caps_at_the_hub,
        no_caps_at_agencies,
        reveal_unpaid,
        no_fence,
        fence_forgets,
        erase_in_words,
        keep_reservations,
        write_nothing_on_a_full_disk,
        forget_what_waits,
        show_other_figures,
        open_one_vector_twice,
        trust_an_old_copy,
        rebuild_nothing,
    )
}
