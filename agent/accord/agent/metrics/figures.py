# SPDX-License-Identifier: Apache-2.0
"""How this agent is, in figures that say nothing of any record.

Each is read when it is asked for. None of them is a number of records, a size or a time
of an answer: two agencies with the same history show the same text but for clocks,
whatever their cases are. A question stays ``open`` from when it is accepted until its
end, because the moment at which its vector is masked tells how long that took; and of
the disk, which a store fills, only that it is nearly full.
"""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric

from accord.agent.network.identity import IdentityFiles
from accord.agent.network.link import Link
from accord.agent.policies import AgencyPolicies, distrust
from accord.agent.rounds import approval, fence, history
from accord.agent.rounds.history import Outcome
from accord.agent.settings import Settings
from accord.agent.spending import spent
from accord.agent.state import AgentState
from accord.agent.store.editions import held_editions
from accord.agent.witness.log import forks
from accord.core._version import __version__
from accord.core.privacy import Accounting
from accord.ledger import height
from accord.ledger.sqlite import transaction
from accord.rpc.pki import expiry_of
from accord.v1 import common_pb2

LOW_DISK: Final = 2 << 30
"""Bytes; with less than this the disk counts as nearly full."""

OUTCOMES: Final = {
    Outcome.REFUSED: "refused",
    Outcome.ASKED: "open",
    Outcome.MASKED: "open",
    Outcome.OPENED: "answered",
    Outcome.PRESUMED: "answered",
    Outcome.ENDED: "ended",
}
"""What each outcome counts as."""

_PREFIX: Final = "REFUSAL_REASON_"

REASONS: Final = tuple(
    name.removeprefix(_PREFIX) for name in common_pb2.RefusalReason.keys()[1:]
)
"""Every reason for which a question can be refused; each is shown from the start."""


class Figures:
    """Reads state and connection; may be asked from any thread."""

    def __init__(
        self,
        state: AgentState,
        *,
        agency: str,
        settings: Settings,
        link: Link,
        clock: Callable[[], datetime.datetime],
    ) -> None:
        """Keep where to look.

        Args:
            state: of the agency.
            agency: its label.
            settings: in force.
            link: what is known of the connection.
            clock: the time in UTC.
        """
        self._state = state
        self._agency = agency
        self._settings = settings
        self._link = link
        self._clock = clock

    def text(self) -> bytes:
        """Return everything in Prometheus' text format.

        Raises:
            AccordError: the state cannot be read.
        """
        now = self._clock()
        families = [
            _many("info", "Version of the program", {__version__: 1}, "version"),
            *self._of_connection(now),
            *self._of_database(now),
            *self._of_files(),
        ]
        registry = CollectorRegistry()
        registry.register(_Families(families))
        return generate_latest(registry)

    def _of_connection(self, now: datetime.datetime) -> list[Metric]:
        connected = self._link.connected
        last = now if connected else self._link.last_contact
        certificate = IdentityFiles(self._state.keys).load().certificate
        return [
            _one("connected", "Whether there is a stream to the hub", connected),
            _one(
                "last_contact_timestamp_seconds",
                "When there was a stream last, since the program began; 0 for never",
                0 if last is None else last.timestamp(),
            ),
            _one(
                "certificate_expires_timestamp_seconds",
                "When the agent's certificate ends, unless it is renewed",
                expiry_of(certificate).timestamp(),
            ),
        ]

    def _of_database(self, now: datetime.datetime) -> list[Metric]:
        with self._state.ledger() as connection:
            restored = fence.standing(self._state, connection).restored
            with transaction(connection) as tx:
                questions = history.counts(tx)
                waiting = len(approval.waiting(tx, now))
                forked = bool(forks(tx, unaccepted=True))
                events = height(tx)
        outcomes = dict.fromkeys(OUTCOMES.values(), 0)
        refusals = dict.fromkeys(REASONS, 0)
        for (outcome, reason), number in questions.items():
            outcomes[OUTCOMES[outcome]] += number
            if reason in refusals:
                refusals[reason] += number
        policies = AgencyPolicies(self._state, self._agency)
        view = policies.view()
        blocked = {
            "LOG_FORKED": forked,
            "POLICY_UNTRUSTED": distrust(self._state, policies, now) is not None,
            "STATE_RESTORED": restored,
        }
        return [
            _many("questions", "Questions by what became of them", outcomes, "outcome"),
            _many(
                "questions_refused",
                "Questions that count as refused, by reason",
                refusals,
                "reason",
            ),
            _one("approvals_waiting", "Questions that wait for people here", waiting),
            _many(
                "blocked",
                "Whether nothing is answered, and staff must see to it",
                blocked,
                "reason",
            ),
            _one("ledger_height", "Events in the agency's own ledger", events),
            _many(
                "lifetime_spent_ratio",
                "Part of the agency's own lifetime cap that is spent or reserved",
                self._spent(now),
                "accounting",
            ),
            _one(
                "policies_version",
                "Version of the signed policies that were accepted",
                0 if view is None else view.version,
            ),
            _one(
                "policies_fresh_until_timestamp_seconds",
                "Until when they count as the newest; 0 without policies",
                0 if view is None else view.fresh_until.timestamp(),
            ),
        ]

    def _spent(self, now: datetime.datetime) -> dict[str, float]:
        found: dict[str, float] = {}
        for accounting in (Accounting.ZCDP, Accounting.PURE):
            held = spent(self._state, self._agency, accounting, self._settings, now)
            found[accounting.value] = (
                held.used / held.lifetime_cap if held.lifetime_cap else 0.0
            )
        return found

    def _of_files(self) -> list[Metric]:
        editions = held_editions(self._state, skip_broken=True)
        free = shutil.disk_usage(self._state.root).free
        return [
            _one(
                "editions", "Frozen editions that can be answered from", len(editions)
            ),
            _one(
                "disk_low",
                "Whether the disk of the state directory is nearly full",
                free < LOW_DISK,
            ),
        ]


class _Families:
    """Gives a registry what was found already."""

    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> list[Metric]:
        return self._found


def _many(name: str, says: str, values: Mapping[str, float], label: str) -> Metric:
    family = GaugeMetricFamily(f"accord_agent_{name}", says, labels=[label])
    for each, value in values.items():
        family.add_metric([each], value)
    return family


def _one(name: str, says: str, value: float) -> Metric:
    return GaugeMetricFamily(f"accord_agent_{name}", says, value=value)
