# SPDX-License-Identifier: Apache-2.0
"""What must hold after every operation, and what when everything has come to its end.

The witness reads the databases as they are on the disks and keeps every message that
ever left a machine. It believes no program: prices, sums and promises are put together
from both sides.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from accord.agent.spending import account_of, lifetime_cap
from accord.core.measure import FINE_SCALE
from accord.core.privacy import Accounting
from accord.hub.questions import accounts
from accord.ledger import LARGEST_TOTAL, verify
from accord.v1 import agent_pb2, analyst_pb2
from tests.simulation.machines import settings_of
from tests.simulation.template import ANALYSTS

if TYPE_CHECKING:
    from tests.simulation.network import Down, Up
    from tests.simulation.world import World

_RELEASES: Final = """
SELECT r.id, r.submission, r.ledger_entry, r.query_key, r.archive_digest, r.nano_rho,
    r.cohort, r.released_at, r.message, r.noisy, t.attempt, t.transcript, t.receipts
FROM releases r LEFT JOIN transcripts t ON t.release = r.id ORDER BY r.number
"""

_LINES: Final = """
SELECT l.account, l.amount FROM ledger_line l JOIN ledger_entry e ON e.id = l.entry
WHERE e.id = ? AND e.state = 'charged'
"""


class Broken(AssertionError):
    """A promise was not kept."""


def hold(condition: object, promise: str) -> None:
    if not condition:
        raise Broken(promise)


@dataclasses.dataclass(frozen=True, slots=True)
class Said:
    """What an agency revealed about one question."""

    attempt: int
    seed: bytes


class Witness:
    """Sees everything."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seen: dict[str, int] = {}
        """Commits of each disk when it was looked at last."""
        self.revealed: dict[tuple[str, str], Said] = {}
        """By agency and question."""
        self._erased: set[tuple[str, str, int]] = set()
        self._forgotten: dict[str, set[str]] = {}
        """Questions of each agency that a restored copy may not know."""
        self._unknowing: set[tuple[str, str]] = set()
        """What it revealed and can only learn from the hub: its fence is old, too."""
        self._copied: dict[str, set[str]] = {}
        """What each agency had revealed when it was copied."""
        self._releases: dict[str, tuple[Any, ...]] = {}
        self._ends: dict[str, tuple[Any, ...]] = {}
        self._log: list[tuple[Any, ...]] = []
        self._openings: dict[str, dict[str, Any]] = {}
        self._free: set[str] = set()
        """Questions of which the hub says that they failed and cost nothing."""
        self._charged: dict[str, int] = {}
        """What agencies have charged, by account."""
        self._used: dict[str, int] = {}
        """What the hub has reserved or charged, by account."""
        self._limits: dict[str, int] = {}
        self.is_hub_restored = False
        """Whether the hub's database was ever an old copy."""
        self._is_behind = False
        """Whether it may still lack what agencies know."""
        self._doubted: tuple[int, int] | None = None
        """Releases and openings when the hub began to doubt its ledger."""
        self._lost: dict[str, dict[str, Any]] = {}
        """Openings of which a restored hub knows nothing, by question."""
        self._lost_releases: set[str] = set()
        """Questions whose release it has forgotten."""

    # What is said

    def hear(self, agency: str, message: Up | Down) -> None:
        """Take a message that leaves a machine."""
        if isinstance(message, agent_pb2.ConnectRequest):
            for reveal in message.reveals.reveals:
                self._revealed(agency, reveal)
            for erased in message.erasures.erasures:
                self._erased.add((agency, erased.query_id, erased.attempt))

    def _revealed(self, agency: str, reveal: agent_pb2.Reveal) -> None:
        said = Said(reveal.attempt, reveal.seed)
        known = self.revealed.setdefault((agency, reveal.query_id), said)
        hold(known == said, f"{agency} revealed two seeds of one question")

    def backed_up(self, agency: str) -> None:
        self._copied[agency] = {q for a, q in self.revealed if a == agency}

    def restored(self, agency: str, *, whole: bool) -> None:
        """An agency's state is an old copy: what it knows of must be what it knew."""
        now = {q for a, q in self.revealed if a == agency}
        forgotten = now - self._copied[agency]
        self._forgotten.setdefault(agency, set()).update(forgotten)
        if whole:
            self._unknowing |= {(agency, query) for query in forgotten}

    def hub_restored(self) -> None:
        """The hub has lost its newest records: it may not repeat what they were."""
        self.is_hub_restored = self._is_behind = True
        lost, self._openings = self._openings, {}
        released, self._releases = self._releases, {}
        self._log, self._ends, self._free = [], {}, set()
        self._doubted = None
        with self._database("hub") as database:
            self._take_log(database)
            kept = {row[0] for row in database.execute("SELECT id FROM releases")}
        self._releases = {key: released[key] for key in kept}
        self._lost_releases |= {
            row[1] for key, row in released.items() if key not in kept
        }
        self._lost |= {q: o for q, o in lost.items() if q not in self._openings}

    def _opening_of(self, query: str) -> dict[str, Any] | None:
        return self._openings.get(query) or self._lost.get(query)

    def _doubting(self, database: sqlite3.Connection) -> None:
        """A hub that doubts its ledger opens and releases nothing."""
        row = database.execute("SELECT doubt FROM hub_standing").fetchone()
        if row is None or row[0] is None:
            if self._doubted is not None:
                self._doubted, self._is_behind = None, False
            return
        now = len(self._releases), len(self._openings)
        self._doubted = self._doubted or now
        hold(self._doubted == now, "a hub opened or released while it was in doubt")

    # What holds at every moment

    def look(self) -> None:
        """Look at every disk on which something was committed."""
        world = self._world
        hold(not world.loop.troubles, f"something broke: {world.loop.troubles}")
        hold(not world.ended, f"a program ended by itself: {world.ended}")
        changed = [
            name
            for name, machine in world.machines.items()
            if self._seen.get(name) != machine.disk.commits
        ]
        for name in changed:
            self._seen[name] = world.machines[name].disk.commits
            with self._database(name) as database:
                if name == "hub":
                    self._hub(database)
                else:
                    self._agency(name, database)
        if changed:
            self._across()

    @contextlib.contextmanager
    def _database(self, name: str) -> Iterator[sqlite3.Connection]:
        file = "hub.db" if name == "hub" else "agent.db"
        path = self._world.machines[name].disk.root / file
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as found:
            found.execute("BEGIN")
            verify(found)
            yield found

    def _hub(self, database: sqlite3.Connection) -> None:
        self._used = dict(database.execute("SELECT name, used FROM ledger_account"))
        limits = self._limits_of_hub()
        for account, used in self._used.items():
            cap = limits[account]
            # Charges that are rebuilt ask no limit.
            within = used <= cap or self.is_hub_restored
            hold(within, f"{account} holds {used} at the hub, above {cap}")
        self._take_log(database)
        self._take_ends(database)
        for row in database.execute(_RELEASES).fetchall():
            known = self._releases.setdefault(row[0], row)
            hold(known == row, "a release was changed")
            if known is row:
                self._release(database, row)
        self._doubting(database)
        hold(
            len(self._releases)
            == database.execute("SELECT COUNT(*) FROM releases").fetchone()[0],
            "a release is gone",
        )

    def _limits_of_hub(self) -> dict[str, int]:
        """Return what accounts may hold; histories are shorter than any window."""
        hub = self._world.hub.hub
        if hub is not None:
            policies = hub.standing.newest()
            for agreement in policies.agreements.values():
                found = [accounts.of_agreement(agreement)]
                found += [accounts.of_analyst(agreement, each) for each in ANALYSTS]
                found += [accounts.of_analysts(agreement)]
                found += [
                    accounts.of_agency(agreement, policies.members, party)
                    for party in agreement.parties
                ]
                for each in found:
                    caps = [window.cap for window in each.windows]
                    if each.lifetime_cap is not None:
                        caps.append(each.lifetime_cap)
                    self._limits[each.account] = min(caps, default=LARGEST_TOTAL)
        return self._limits

    def _take_log(self, database: sqlite3.Connection) -> None:
        log = database.execute(
            "SELECT number, at, event, facts FROM audit ORDER BY number"
        ).fetchall()
        known = len(self._log)
        hold(log[:known] == self._log, "the log was changed, or lost entries")
        numbers = [row[0] for row in log]
        hold(numbers == list(range(1, len(log) + 1)), "the log has gaps")
        for _, _, event, text in log[known:]:
            facts = json.loads(text)
            if event == "opening.committed":
                query = facts["submission"]
                hold(query not in self._openings, "a question was opened twice")
                lost = self._lost.get(query)
                said = any(q == query for _, q in self.revealed)
                same = lost is not None and all(
                    lost[each] == facts[each] for each in ("attempt", "cohort")
                )
                hold(lost is None or same or not said, "it was opened anew")
                self._openings[query] = facts
            elif event == "query.failed" and not facts["charged"]:
                self._free.add(facts["submission"])
        self._log = log

    def _take_ends(self, database: sqlite3.Connection) -> None:
        for query, *end in database.execute(
            "SELECT id, state, release, reason FROM submissions"
            " WHERE state IN ('released', 'failed')"
        ).fetchall():
            known = self._ends.setdefault(query, tuple(end))
            hold(known == tuple(end), "a question ended in two ways")

    def _release(self, database: sqlite3.Connection, row: tuple[Any, ...]) -> None:
        release, query, entry, key, archive, price, cohort, _, _, noisy, *rest = row
        attempt, transcript, receipts = rest
        noted = [
            facts
            for _, _, event, text in self._log
            if event == "release.published"
            and (facts := json.loads(text))["release"] == release
        ]
        hold(len(noted) == 1, "a release has no entry in the log, or several")
        hold(query not in self._lost_releases, "a question was released twice")
        opening = self._openings.get(query)
        hold(opening is not None, "a release whose opening was never committed")
        assert opening is not None
        place = (opening["attempt"], opening["cohort"])
        hold(place == (attempt, cohort), "another cohort was released than was opened")
        members = noted[0]["answered"]
        analyst, agreement, created = database.execute(
            "SELECT analyst, agreement, created_at FROM submissions WHERE id = ?",
            (query,),
        ).fetchone()
        paid = dict(database.execute(_LINES, (entry,)).fetchall())
        owed = {
            f"agreement/{agreement}": price,
            f"agreement/{agreement}/analyst/{analyst}": price,
            f"agreement/{agreement}/analysts": price,
            **{f"agency/{member}": price for member in members},
        }
        hold(paid == owed, f"a release costs {owed}, and {paid} was charged")
        for other in self._releases.values():
            if other[3:5] == (key, archive) and other[0] != release:
                earlier = other[7] < created and other[5] >= price
                asked = other[6] == cohort
                hold(not (earlier and asked), "a question was drawn twice")
        self._sum(release, members, transcript, receipts, noisy)
        self._figures(row[8], noisy)

    def _figures(self, message: bytes, noisy: bytes) -> None:
        """What is shown is what is stored, at one scale."""
        rows = analyst_pb2.Release.FromString(message).rows
        stored = np.frombuffer(noisy, "<i8").tolist()
        pairs = [
            (each.estimate.estimate, figure)
            for each, figure in zip(rows, stored, strict=False)
            if not each.estimate.suppressed
        ]
        same = any(
            all(shown == figure / scale for shown, figure in pairs)
            for scale in range(1, FINE_SCALE + 1)
        )
        hold(same, "a release shows other figures than it has")

    def _sum(
        self,
        release: str,
        members: list[str],
        transcript: bytes,
        receipts: bytes,
        noisy: bytes,
    ) -> None:
        """The opened sum is that of one vector of each member, for this cohort."""
        chance = self._world.chance
        draw = chance.draws[release]
        hold(np.frombuffer(noisy, "<i8").tolist() == list(draw.noisy), "other noise")
        found = [
            chance.contributions[each.vector_digest]
            for each in agent_pb2.RevealCall.FromString(receipts).receipts
        ]
        hold([each.agency for each in found] == members, "another cohort's receipts")
        hold({each.transcript for each in found} == {transcript}, "mixed attempts")
        total = sum(each.vector for each in found)
        hold(np.array_equal(total, draw.opened), "the sum is not that of the cohort")

    def _agency(self, name: str, database: sqlite3.Connection) -> None:
        account, settings = account_of(name), settings_of(name)
        found = database.execute(
            "SELECT used, reserved FROM ledger_account WHERE name = ?", (account,)
        ).fetchone()
        used, reserved = found or (0, 0)
        cap = lifetime_cap(settings, Accounting.ZCDP)
        hold(used <= cap, f"{name} holds {used} in its own ledger, above {cap}")
        self._charged[account] = used - reserved
        paid = {
            entry
            for (entry,) in database.execute(
                "SELECT id FROM ledger_entry WHERE state = 'charged'"
            ).fetchall()
        }
        said = {query for agency, query in self.revealed if agency == name}
        unpaid = said - paid - self._forgotten.get(name, set())
        hold(not unpaid, f"{name} revealed what it has not charged")

    def lied(self) -> set[tuple[str, str]]:
        """Return of what agencies sign that it is erased, and it was revealed."""
        return {
            (agency, query)
            for (agency, query), said in self.revealed.items()
            if (agency, query, said.attempt) in self._erased
        }

    def _across(self) -> None:
        for account, charged in self._charged.items():
            used = self._used.get(account, 0)
            enough = used >= charged or self._is_behind
            hold(enough, f"{account}: hub {used}, agency {charged}")
        attempts: dict[str, set[int]] = {}
        for (agency, query), said in self.revealed.items():
            attempts.setdefault(query, set()).add(said.attempt)
            opening = self._opening_of(query)
            hold(opening is not None, f"{agency} was asked for a seed too early")
            hold(query not in self._free, "what agencies opened was given back")
        lied = self.lied() - self._unknowing
        hold(not lied, f"agencies say to have erased what they revealed: {lied}")
        for query, found in attempts.items():
            opening = self._opening_of(query)
            hold(
                opening is not None and found == {opening["attempt"]},
                f"question {query} was opened in attempts {found}",
            )

    # What holds at the end

    def waiting(self) -> list[str]:
        """Return what has not come to its end."""
        world = self._world
        found = [
            f"question {number} is neither answered nor refused"
            for number, request in enumerate(world.requests)
            if not request.has_ended
        ]
        with self._database("hub") as database:
            queries = {
                "collecting": "SELECT COUNT(*) FROM submissions"
                " WHERE state = 'collecting'",
                "rounds": "SELECT COUNT(*) FROM rounds",
                "reserved": "SELECT COALESCE(SUM(reserved), 0) FROM ledger_account",
            }
            for what, sql in queries.items():
                if database.execute(sql).fetchone()[0]:
                    found.append(f"the hub has {what} left")
        for name in world.agents:
            with self._database(name) as database:
                queries = {
                    "open rounds": "SELECT COUNT(*) FROM round"
                    " WHERE state IN ('ready', 'masked')",
                    "reserved": "SELECT COALESCE(SUM(reserved), 0) FROM ledger_account",
                }
                for what, sql in queries.items():
                    if database.execute(sql).fetchone()[0]:
                        found.append(f"{name} has {what} left")
        return found

    def end(self) -> None:
        """Everything has ended, is paid for exactly once, and reads the same."""
        self.look()
        left = self.waiting()
        hold(not left, "; ".join(left))
        with self._database("hub") as database:
            self._paid_once(database)
        hold(not self._is_behind or self._is_whole(), "a ledger was not completed")
        for request in self._world.requests:
            told = request.told
            if told is not None and told.HasField("reply"):
                stored = self._releases[told.reply.release.id][8]
                shown = told.reply.release.SerializeToString(deterministic=True)
                hold(shown == stored, "a release reads in two ways")

    def _is_whole(self) -> bool:
        """Tell whether a restored hub has lost nothing that an agency can prove."""
        used, charged = self._used, self._charged
        return all(used.get(each, 0) >= charged[each] for each in charged)

    def _paid_once(self, database: sqlite3.Connection) -> None:
        """Each account holds what was opened, and no more."""
        owed: dict[str, int] = {}
        for query, agreement, analyst, price in database.execute(
            "SELECT id, agreement, analyst, nano_rho FROM submissions"
            " WHERE follows IS NULL AND NOT from_archive"
        ).fetchall():
            opening = self._opening_of(query)
            said = any(q == query for _, q in self.revealed)
            known = query in self._openings or said
            if opening is None or not known or query in self._free:
                continue
            policies = self._world.hub.hub
            assert policies is not None
            cohorts = policies.standing.newest().agreements[agreement].cohorts
            for account in (
                f"agreement/{agreement}",
                f"agreement/{agreement}/analyst/{analyst}",
                f"agreement/{agreement}/analysts",
                *(f"agency/{label}" for label in cohorts[opening["cohort"]]),
            ):
                owed[account] = owed.get(account, 0) + price
        held = {account: used for account, used in self._used.items() if used}
        hold(held == owed, f"accounts hold {held}, and {owed} was opened")
