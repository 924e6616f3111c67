# SPDX-License-Identifier: Apache-2.0
"""Rounds without agents: every agency answers at once, in this process.

Only the conversation is left out. What an agency computes (its bounded vector, its
share of the noise, its masked sum and its receipt) and what the hub does with it (the
opening, the charge, the release) are the code that runs in a federation. The masks of
pairs, which cancel in the sum, are not drawn.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from accord.agent.rounds.vectors import StoredEdition, counts, digest_of, share
from accord.agent.store.columns import Columns
from accord.core.errors import AccordError
from accord.core.model import DataModel
from accord.hub.rounds import rows
from accord.hub.rounds.collection import Collection
from accord.hub.rounds.endings import failed, mistake
from accord.hub.rounds.stages import Stage
from accord.hub.rounds.waiting import Waiting
from accord.secagg.keys import SecretKeys
from accord.secagg.masks import vector_bytes
from accord.secagg.member import make_masked
from accord.secagg.messages import Ready, Receipt, commit_input

Clock = Callable[[], dt.datetime]


class Agencies:
    """Everybody's records and keys, and where the noise of their shares comes from."""

    def __init__(
        self,
        stores: Mapping[str, Columns],
        keys: Mapping[str, SecretKeys],
        model: DataModel,
        seed: int,
    ) -> None:
        """Keep what answers are made of."""
        self.stores = stores
        self.keys = keys
        self.model = model
        self._seed = seed
        self._answers = 0

    def answer(self, found: Waiting, cohort: str) -> dict[str, tuple[Receipt, bytes]]:
        """Return receipt and masked vector of every agency; its seed is `self_seed`.

        The noise follows from the seed of the world, the question and how many were
        answered before, so that the same program has the same figures every time.
        """
        self._answers += 1
        query, plan = found.requisition.query, found.plans[cohort]
        told = found.round.current.transcript
        made = {}
        for label in found.round.current.members:
            held = StoredEdition(columns=self.stores[label])
            vector = counts(held, found.terms, query, self.model)
            seed = self._noise_seed(query.key(), label)
            receipt, words = make_masked(
                self.keys[label],
                transcript=told,
                vector=vector + share(plan, seed, len(vector)),
                input_commitment=commit_input(digest_of(vector), seed, bytes(32)),
                self_seed=self.self_seed(label),
                pair_keys={},
            )
            made[label] = receipt, vector_bytes(words)
        return made

    def self_seed(self, label: str) -> bytes:
        """Return what an agency would withhold until the opening."""
        return hashlib.sha256(f"{self._seed}/{self._answers}/{label}".encode()).digest()

    def _noise_seed(self, question: str, label: str) -> bytes:
        text = f"noise/{self._seed}/{self._answers}/{question}/{label}"
        return hashlib.sha256(text.encode()).digest()


class ImmediateCollection(Collection):
    """Answers every question as soon as it is paid for."""

    def __init__(
        self,
        agencies: Agencies,
        serials: Mapping[str, str],
        **parts: Any,  # noqa: ANN401  # of `Collection`
    ) -> None:
        """Begin with no questions.

        Args:
            agencies: who answers.
            serials: of the certificates under which they would.
            parts: of `Collection`.
        """
        super().__init__(**parts)
        self._agencies = agencies
        self._serials = serials
        self._one_at_a_time = asyncio.Lock()

    def reachable(self) -> list[str]:
        """Return all agencies."""
        return sorted(self._agencies.stores)

    def _begin(self, found: Waiting) -> None:
        if found.submission.id not in self._open:
            self._open[found.submission.id] = found
            self._tasks.start(self._answer(found))

    async def _answer(self, found: Waiting) -> None:
        """Answer, or end the question where something is wrong."""
        try:
            await self._take_through(found)
        except Exception as error:  # noqa: BLE001  # the boundary of a round
            known = error if isinstance(error, AccordError) else mistake()
            self._log.error("world.failed", exc_info=error)
            self._settle(found, self._give_up(found.submission, failed(known)))

    async def _take_through(self, found: Waiting) -> None:
        """Take the question through all stages of a round."""
        async with self._one_at_a_time:
            round_, current = found.round, found.round.current
            current.cohort, current.stage = found.submission.cohort, Stage.REVEAL
            for label in current.members:
                current.readies[label] = Ready(
                    agency=label,
                    spec_digest=round_.call.spec_digest,
                    attempt=current.number,
                    ephemeral_key=secrets.token_bytes(32),
                    signature=bytes(64),
                )
            made = await asyncio.to_thread(self._agencies.answer, found, current.cohort)
            current.receipts = {label: receipt for label, (receipt, _) in made.items()}
            current.whole = set(made)

            def keep(tx: sa.Connection) -> None:
                for label, (receipt, vector) in made.items():
                    rows.add_receipt(
                        tx,
                        found.submission.id,
                        current.number,
                        receipt,
                        vector,
                        self._serials[label],
                    )

            await self.journal.put(keep)
            seeds = {label: self._agencies.self_seed(label) for label in made}
        await self._commit_opening(found)
        if not found.settling:
            current.seeds = seeds
            self._settle(found, self._publish(found))
