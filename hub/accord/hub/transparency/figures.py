# SPDX-License-Identifier: Apache-2.0
"""How a hub is, in figures that say nothing of any record.

Gauges are read from the database at each scrape, so every replica shows the same ones.
Counters begin at 0 with the program and count what came into the audit log since, from
whichever replica. No label names an analyst, and nothing here depends on an answer.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric

from accord.core._version import __version__
from accord.hub.audit import Event
from accord.hub.contact.standing import standing as ledger_standing
from accord.hub.db.engine import LedgerTransaction, Store
from accord.hub.db.tables import AUDIT, RELEASES, ROUNDS, SUBMISSIONS
from accord.hub.db.tables_log import LOG_COSIGNATURES
from accord.hub.governance.standing import Standing
from accord.hub.identity import registry
from accord.hub.log import tree
from accord.hub.rounds import submissions
from accord.hub.rounds.stages import Stage
from accord.ledger import height

ENDED: Final = {Event.RELEASE_PUBLISHED: "released", Event.QUERY_FAILED: "failed"}
"""Events with which a question ends that agencies were asked."""

SECONDS: Final = (1, 2, 5, 10, 30, 60, 300, 1800, 3600, 6 * 3600, 86_400, 7 * 86_400)
"""Bounds of the histogram of how long questions take."""

MOST_EVENTS: Final = 10_000
"""Of the log that are counted at one scrape; the others at the next."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a look at the database found."""

    questions: dict[str, int]
    rounds: dict[str, int]
    releases: int
    ledger_height: int
    log_size: int
    doubted: bool
    """Whether the ledger may have forgotten charges."""
    cosigned: dict[str, int]
    """Size of the newest head that each agency has seen."""
    last_hello: dict[str, float]
    """Seconds since 1970, by agency."""
    news: Sequence[tuple[int, str]]
    """Number and event of what came into the log since."""
    lasted: Sequence[tuple[str, float]]
    """How each question ended in that time, and its seconds."""


class Figures:
    """Counts on from one scrape to the next."""

    def __init__(
        self,
        *,
        store: Store,
        standing: Standing,
        connected: Callable[[], Iterable[str]],
        is_delayed: Callable[[], bool],
    ) -> None:
        """Keep where to look; `begin` says from where on.

        Args:
            store: the hub's database.
            standing: the policies in force.
            connected: returns the agencies with a stream to this process.
            is_delayed: tells whether the database could not be written last time.
        """
        self._store = store
        self._standing = standing
        self._connected = connected
        self._is_delayed = is_delayed
        self._counted = 0
        self._events: Counter[str] = Counter({event.value: 0 for event in Event})
        self._durations = Histogram(
            "accord_hub_question_duration_seconds",
            "From the question to its end, for those that agencies were asked",
            ["outcome"],
            buckets=SECONDS,
            registry=None,
        )
        for outcome in ENDED.values():
            self._durations.labels(outcome)

    def begin(self) -> None:
        """Count from here on; on the database's thread.

        Raises:
            Unreachable: STORE_UNAVAILABLE.
        """
        with self._store.read() as tx:
            self._counted = tree.size(tx)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format; on the database's thread.

        Raises:
            Unreachable: STORE_UNAVAILABLE.
        """
        with self._store.read() as tx:
            seen = _look(tx, self._counted)
        for _, event in seen.news:
            self._events[event] += 1
        for outcome, seconds in seen.lasted:
            self._durations.labels(outcome).observe(seconds)
        if seen.news:
            self._counted = seen.news[-1][0]
        registry = CollectorRegistry()
        registry.register(_Families(self._families(seen)))
        registry.register(self._durations)
        ProcessCollector(registry=registry)
        return generate_latest(registry)

    def _families(self, seen: Seen) -> list[Metric]:
        standing, connected = self._standing, set(self._connected())
        found = standing.in_force
        agencies = sorted(found.policies.members.members) if found else []
        return [
            _gauge("info", "Version of the program", {__version__: 1}, "version"),
            _gauge("questions", "Questions by state", seen.questions, "state"),
            _gauge("rounds", "Rounds that agencies are asked in", seen.rounds, "stage"),
            _one("releases", "Releases that were ever published", seen.releases),
            _gauge(
                "agency_connected",
                "Whether an agency has a stream to this process",
                {agency: agency in connected for agency in agencies},
                "agency",
            ),
            _gauge(
                "agency_last_hello_timestamp_seconds",
                "When an agency last came, to whichever process",
                seen.last_hello,
                "agency",
            ),
            _one("ledger_height", "Events in the ledger", seen.ledger_height),
            _one(
                "ledger_doubted",
                "Whether the hub may have forgotten charges, and releases nothing",
                seen.doubted,
            ),
            _one("log_size", "Entries of the audit log", seen.log_size),
            _gauge(
                "log_cosigned_size",
                "Entries of the log that an agency has seen and cosigned",
                seen.cosigned,
                "agency",
            ),
            _counter("log_events", "Entries of the log", self._events, "event"),
            _one(
                "journal_delayed",
                "Whether the database could not be written last time",
                self._is_delayed(),
            ),
            _one("policies_version", "Version of the policies here", standing.version),
            _one(
                "policies_expire_timestamp_seconds",
                "When the board's signatures end; 0 without policies",
                _seconds(found.expires if found else None),
            ),
            _one(
                "policies_fresh_until_timestamp_seconds",
                "Until when agents take the policies for the newest",
                _seconds(standing.fresh_until),
            ),
        ]


def _look(tx: sa.Connection, counted: int) -> Seen:
    by_stage = sa.select(ROUNDS.c.stage, sa.func.count()).group_by(ROUNDS.c.stage)
    counted_releases = sa.select(sa.func.max(RELEASES.c.number))
    cosigned = sa.select(
        LOG_COSIGNATURES.c.agency, sa.func.max(LOG_COSIGNATURES.c.size)
    ).group_by(LOG_COSIGNATURES.c.agency)
    news = _news(tx, counted)
    return Seen(
        questions=submissions.counts(tx),
        rounds={stage.value: 0 for stage in Stage}
        | {row[0]: row[1] for row in tx.execute(by_stage)},
        releases=tx.execute(counted_releases).scalar_one() or 0,
        ledger_height=height(LedgerTransaction(tx)),
        log_size=tree.size(tx),
        doubted=ledger_standing(tx).doubt is not None,
        cosigned={row[0]: row[1] for row in tx.execute(cosigned)},
        last_hello={
            agency: found.at.timestamp()
            for agency, found in sorted(registry.sightings(tx).items())
        },
        news=[(row.number, row.event) for row in news],
        lasted=_lasted(tx, news),
    )


def _news(tx: sa.Connection, after: int) -> Sequence[sa.Row[tuple[object, ...]]]:
    return tx.execute(
        sa.select(AUDIT)
        .where(AUDIT.c.number > after)
        .order_by(AUDIT.c.number)
        .limit(MOST_EVENTS)
    ).all()


def _lasted(
    tx: sa.Connection, news: Iterable[sa.Row[tuple[object, ...]]]
) -> list[tuple[str, float]]:
    """Return how long each question took that ended."""
    ended = {
        row.facts["submission"]: (ENDED[Event(row.event)], row.at)
        for row in news
        if row.event in set(ENDED) and "submission" in (row.facts or {})
    }
    asked = sa.select(SUBMISSIONS.c.id, SUBMISSIONS.c.created_at)
    lasted = []
    for row in tx.execute(asked.where(SUBMISSIONS.c.id.in_(ended))):
        outcome, at = ended[row.id]
        lasted.append((outcome, max(0, at - row.created_at) / 1_000_000))
    return lasted


class _Families:
    """Gives a registry what was found already."""

    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> list[Metric]:
        return self._found


def _gauge(name: str, says: str, values: Mapping[str, float], label: str) -> Metric:
    family = GaugeMetricFamily(f"accord_hub_{name}", says, labels=[label])
    for each, value in values.items():
        family.add_metric([each], value)
    return family


def _counter(name: str, says: str, values: Counter[str], label: str) -> Metric:
    family = CounterMetricFamily(f"accord_hub_{name}", says, labels=[label])
    for each, value in sorted(values.items()):
        family.add_metric([each], value)
    return family


def _one(name: str, says: str, value: float) -> Metric:
    return GaugeMetricFamily(f"accord_hub_{name}", says, value=value)


def _seconds(moment: dt.datetime | None) -> float:
    return 0 if moment is None else moment.timestamp()
