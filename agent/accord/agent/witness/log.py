# SPDX-License-Identifier: Apache-2.0
"""This agency as a witness of its hub's log.

It keeps the newest head of the log that it has accepted. Whatever the hub shows next
must be signed by the hub that the board lists and must have grown from there; only then
is it accepted, kept and cosigned, and only then is anything answered on that stream.

- A head that is signed and does not follow is a *fork*: something before it was edited,
  dropped or put elsewhere, or the log was cut off and written anew. Both heads are kept
  as evidence, and nothing is answered (LOG_FORKED) until staff has run
  ``accord-agent log accept``, on whatever stream and after any restart.
- A hub that shows less than this agency has seen is *behind* (HUB_BEHIND), as after a
  restore from an old copy. It may catch up; nothing is answered until it has.

The first head of all is believed as it comes. What a hub shows differently to two
agencies is found when they compare their heads, or by cosignatures under a release.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Final

from accord.core.errors import (
    NotFound,
    PreconditionFailed,
    RequisitionRefused,
    Unreachable,
)
from accord.ledger.sqlite import transaction
from accord.ledger.transaction import Transaction
from accord.merkle.heads import SignedHead, TreeHead, Witnessed
from accord.merkle.proofs import has_grown
from accord.secagg.keys import SecretKeys

Clock = Callable[[], datetime.datetime]

MOST_FORKS: Final = 20
"""Heads that are kept of one fork; of more, the first ones and the newest."""

_FORKED: Final = (
    "The hub's log is not the one that this agency saw: something in it was changed."
    " Its staff runs `accord-agent log show`."
)
_BEHIND: Final = "The hub's log lacks entries that this agency has seen."
_UNSIGNED: Final = "The head of the hub's log is not signed by the hub of the board."


class Verdict(enum.Enum):
    """What a head is, held against the one that was accepted before."""

    FOLLOWS = enum.auto()
    BEHIND = enum.auto()
    FORKED = enum.auto()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """Two heads that the hub has signed, where the second did not grow from the first.

    Or, while nobody has looked at those, a later head that was shown.
    """

    number: int
    found_at: datetime.datetime
    seen: SignedHead
    shown: SignedHead
    accepted_at: datetime.datetime | None

    def as_json(self) -> dict[str, Any]:
        """Return it for machines; with the hub's public key it is evidence."""
        accepted = self.accepted_at
        return {
            "number": self.number,
            "found_at": self.found_at.isoformat(),
            "seen": self.seen.as_json(),
            "shown": self.shown.as_json(),
            "accepted_at": None if accepted is None else accepted.isoformat(),
        }


class Witness:
    """Looks at heads for one agency; belongs to one thread at a time."""

    def __init__(self, keys: SecretKeys, clock: Clock) -> None:
        """Have seen nothing on any stream yet.

        Args:
            keys: of this agency; cosigns.
            clock: the time in UTC.
        """
        self._keys = keys
        self._clock = clock
        self._trouble: RequisitionRefused | None = None

    def require(self, connection: sqlite3.Connection) -> None:
        """Refuse every step while the log cannot be trusted.

        Raises:
            RequisitionRefused: LOG_FORKED, HUB_BEHIND or SIGNATURE_INVALID.
        """
        if connection.execute(_OPEN_FORK).fetchone() is not None:
            raise RequisitionRefused("LOG_FORKED", _FORKED)
        if self._trouble is not None:
            # raised often: what it remembers of each time would pile up
            raise self._trouble.with_traceback(None)

    def greet(
        self,
        connection: sqlite3.Connection,
        hub_key: bytes | None,
        shown: SignedHead | None,
        growth: Growth,
    ) -> Witnessed | None:
        """Hold a stream's first head against what was accepted before it.

        Args:
            connection: to the agent's database.
            hub_key: which the board lists; none while there are no policies, under
                which nothing is answered anyway.
            shown: the head; none where the hub shows none.
            growth: what the hub says to prove that it grew.

        Returns:
            The cosignature, if the head was accepted.

        Raises:
            Unreachable: LOG_MOVED, another process of this agent took a head meanwhile.
        """
        self._trouble = None
        if hub_key is None:
            return None
        if shown is None:
            self._trouble = RequisitionRefused("HUB_BEHIND", "The hub shows no log.")
            return None
        return self._take(connection, hub_key, shown, growth)

    def grown(
        self,
        connection: sqlite3.Connection,
        hub_key: bytes | None,
        shown: SignedHead,
        growth: Growth,
    ) -> Witnessed | None:
        """Hold a later head of a stream against what was accepted before it.

        A proof from another head than the accepted one is passed over: it says nothing.
        """
        if hub_key is None:
            return None
        try:
            return self._take(connection, hub_key, shown, growth)
        except Unreachable:
            return None

    def _take(
        self,
        connection: sqlite3.Connection,
        hub_key: bytes,
        shown: SignedHead,
        growth: Growth,
    ) -> Witnessed | None:
        if not shown.is_signed_by(hub_key):
            self._trouble = RequisitionRefused("SIGNATURE_INVALID", _UNSIGNED)
            return None
        now = self._clock()
        with transaction(connection) as tx:
            seen = accepted(tx)
            if seen is not None and seen.head.size != growth.from_size:
                raise Unreachable(
                    "LOG_MOVED", "Another process of this agent has seen more by now."
                )
            verdict = judge(seen, shown, growth.proof)
            open_fork = tx.execute(_OPEN_FORK, {}).fetchall()
            if seen is not None and (
                verdict is Verdict.FORKED or (open_fork and shown != seen)
            ):
                _keep_fork(tx, seen, shown, now)
                return None
            if verdict is Verdict.BEHIND:
                self._trouble = RequisitionRefused("HUB_BEHIND", _BEHIND)
                return None
            if open_fork:
                return None
            if shown != seen:
                _accept(tx, shown, now)
        self._trouble = None
        return self._cosigned(shown.head)

    def _cosigned(self, head: TreeHead) -> Witnessed:
        signature = self._keys.sign(head.witnessed_bytes(self._keys.label))
        return Witnessed(head=head, agency=self._keys.label, signature=signature)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What a hub gives to prove that its log grew."""

    from_size: int
    """Where the proof begins: what the agency said to have seen."""
    proof: Sequence[bytes]


def judge(
    seen: SignedHead | None, shown: SignedHead, proof: Sequence[bytes]
) -> Verdict:
    """Hold a head, which is signed, against the one that was accepted before.

    A ledger that was rebuilt (a higher epoch) may be lower than it was; within an epoch
    it only grows, like the log.
    """
    if seen is None:
        return Verdict.FOLLOWS
    old, new = seen.head, shown.head
    rebuilt = new.epoch > old.epoch
    less = new.epoch < old.epoch or (
        not rebuilt and new.ledger_height < old.ledger_height
    )
    if has_grown(old.size, old.root, new.size, new.root, proof):
        return Verdict.BEHIND if less else Verdict.FOLLOWS
    if not rebuilt and new.size < old.size:
        return Verdict.BEHIND
    return Verdict.FORKED


def accepted(tx: Transaction) -> SignedHead | None:
    """Return the newest head that this agency has accepted."""
    rows = tx.execute(
        "SELECT size, root, at, ledger_height, epoch, signature FROM log_seen", {}
    ).fetchall()
    if not rows:
        return None
    size, root, at, height, epoch, signature = rows[0]
    head = TreeHead(
        size=size, root=root, at=_moment(at), ledger_height=height, epoch=epoch
    )
    return SignedHead(head=head, signature=signature)


def forks(tx: Transaction, *, unaccepted: bool = False) -> tuple[Fork, ...]:
    """Return what was found to be changed, oldest first."""
    where = "WHERE accepted_at IS NULL" if unaccepted else ""
    rows = tx.execute(
        "SELECT number, found_at, seen, shown, accepted_at FROM log_fork"  # noqa: S608
        f" {where} ORDER BY number",
        {},
    ).fetchall()
    return tuple(
        Fork(
            number=number,
            found_at=_moment(found_at),
            seen=SignedHead.from_json(json.loads(seen)),
            shown=SignedHead.from_json(json.loads(shown)),
            accepted_at=None if at is None else _moment(at),
        )
        for number, found_at, seen, shown, at in rows
    )


def accept(
    tx: Transaction, now: datetime.datetime, looked_at: Fork | None = None
) -> Fork:
    """Go on from the head that was shown last; the evidence stays.

    Args:
        tx: an open transaction.
        now: the time in UTC.
        looked_at: the last one when somebody looked, and said yes to it.

    Raises:
        NotFound: LOG_NOT_FORKED, there is nothing to accept.
        PreconditionFailed: LOG_NOT_ACCEPTED, the hub has shown another one since.
    """
    found = forks(tx, unaccepted=True)
    if not found:
        raise NotFound(
            "LOG_NOT_FORKED",
            "The hub's log has grown from what this agency saw: there is nothing to"
            " accept.",
        )
    if looked_at not in (None, found[-1]):
        raise PreconditionFailed(
            "LOG_NOT_ACCEPTED",
            "Nothing was changed: the hub has shown another head of its log since you"
            " looked. Run the command again and look at that one.",
        )
    _accept(tx, found[-1].shown, now)
    tx.execute(
        "UPDATE log_fork SET accepted_at = :now WHERE accepted_at IS NULL",
        {"now": int(now.timestamp())},
    )
    return found[-1]


_OPEN_FORK: Final = "SELECT 1 FROM log_fork WHERE accepted_at IS NULL LIMIT 1"

_ACCEPT: Final = """
INSERT INTO log_seen (one, size, root, at, ledger_height, epoch, signature, accepted_at)
VALUES (1, :size, :root, :at, :ledger_height, :epoch, :signature, :now)
ON CONFLICT (one) DO UPDATE SET size = excluded.size, root = excluded.root,
    at = excluded.at, ledger_height = excluded.ledger_height, epoch = excluded.epoch,
    signature = excluded.signature, accepted_at = excluded.accepted_at
"""


def _accept(tx: Transaction, shown: SignedHead, now: datetime.datetime) -> None:
    head = shown.head
    tx.execute(
        _ACCEPT,
        {
            "size": head.size,
            "root": head.root,
            "at": int(head.at.timestamp()),
            "ledger_height": head.ledger_height,
            "epoch": head.epoch,
            "signature": shown.signature,
            "now": int(now.timestamp()),
        },
    )


def _keep_fork(
    tx: Transaction, seen: SignedHead, shown: SignedHead, now: datetime.datetime
) -> None:
    known = forks(tx, unaccepted=True)
    if known and known[-1].shown == shown:
        return
    if len(known) >= MOST_FORKS:
        tx.execute(
            "DELETE FROM log_fork WHERE number = :number", {"number": known[-1].number}
        )
    tx.execute(
        "INSERT INTO log_fork (found_at, seen, shown) VALUES (:now, :seen, :shown)",
        {
            "now": int(now.timestamp()),
            "seen": json.dumps(seen.as_json()),
            "shown": json.dumps(shown.as_json()),
        },
    )


def _moment(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
