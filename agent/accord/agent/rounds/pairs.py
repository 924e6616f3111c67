# SPDX-License-Identifier: Apache-2.0
"""What this agency shares with each other one for as long as both keep their keys.

The lower label of a pair encapsulates an ML-KEM secret for the higher one, once for
their keys, and keeps it in its database, since it cannot be computed again; the
higher one keeps the ciphertext. It asks for it anew once a day, and what the hub then
hands over replaces what was kept: the sender may have lost the first with its database,
and without this the two would never understand each other again. Whether a pair needs
one follows from the board's list alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from accord.agent.rounds.checks import Clock
from accord.core.errors import RequisitionRefused
from accord.ledger.sqlite import transaction
from accord.ledger.transaction import Transaction
from accord.secagg.encoding import hashed
from accord.secagg.keys import (
    Directory,
    Encapsulation,
    PublicKeys,
    SecretKeys,
    encapsulate,
    opened,
    pair_secret,
    uses_kem,
)

_FIND = """
SELECT ciphertext, signature, secret, kept_at FROM encapsulation
WHERE sender = :sender AND receiver = :receiver AND sender_keys = :sender_keys
    AND receiver_keys = :receiver_keys
"""

_PUT = """
INSERT INTO encapsulation (sender, receiver, sender_keys, receiver_keys, ciphertext,
    signature, secret, kept_at)
VALUES (:sender, :receiver, :sender_keys, :receiver_keys, :ciphertext, :signature,
    :secret, :kept_at)
ON CONFLICT (sender, receiver) DO UPDATE SET sender_keys = excluded.sender_keys,
    receiver_keys = excluded.receiver_keys, ciphertext = excluded.ciphertext,
    signature = excluded.signature, secret = excluded.secret,
    kept_at = excluded.kept_at
"""

_MOST_CACHED = 4096

_ANEW = datetime.timedelta(days=1)
"""After which a receiver asks for what it has."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    encapsulation: Encapsulation
    secret: bytes | None = dataclasses.field(repr=False)
    at: datetime.datetime


class Pairs:
    """Pairs of one agency; belongs to one thread at a time."""

    def __init__(self, keys: SecretKeys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._bare = keys.without_kem()
        self._secrets: dict[tuple[bytes, str, bytes], bytes] = {}

    def sent(
        self, connection: sqlite3.Connection, directories: Iterable[Directory]
    ) -> tuple[Encapsulation, ...]:
        """Return all that this agency is the sender of; makes what is not there yet."""
        peers = {
            peer.label: peer
            for directory in directories
            for peer in self._partners(directory)
            if self._keys.label < peer.label
        }
        made: list[Encapsulation] = []
        with transaction(connection) as tx:
            for label in sorted(peers):
                # A key that is none costs a pair its rounds, and nobody else.
                with contextlib.suppress(RequisitionRefused):
                    made.append(self._made(tx, peers[label]).encapsulation)
        return tuple(made)

    def lacking(
        self, tx: Transaction, directory: Directory, members: Sequence[str]
    ) -> tuple[str, ...]:
        """Return the members whose encapsulation this agency has not got yet.

        Also those whose encapsulation it has had for a day; it goes on with what it
        has if nothing comes.
        """
        return tuple(
            peer.label
            for peer in self._partners(directory)
            if peer.label in members
            and peer.label < self._keys.label
            and not self._is_recent(self._found(tx, peer, self._keys.public))
        )

    def keep(
        self,
        connection: sqlite3.Connection,
        directory: Directory,
        encapsulations: Iterable[Encapsulation],
    ) -> None:
        """Keep what others made for this agency, each checked.

        Raises:
            RequisitionRefused: READY_INVALID, one is not from a member for this agency.
        """
        given = tuple(encapsulations)
        if not given:
            return
        for each in given:
            opened(self._own(directory), self._member(directory, each.sender), each)
        with transaction(connection) as tx:
            for each in given:
                self._put(tx, directory[each.sender], self._keys.public, each, None)

    def secrets(
        self,
        connection: sqlite3.Connection,
        directory: Directory,
        members: Sequence[str],
    ) -> dict[str, bytes]:
        """Return what this agency shares with each other member, 32 bytes by label.

        Raises:
            RequisitionRefused: READY_INVALID, an encapsulation that is needed is not
                here, or a member is not listed.
        """
        with transaction(connection) as tx:
            return {
                label: self._secret(tx, directory, self._member(directory, label))
                for label in members
                if label != self._keys.label
            }

    def _is_recent(self, kept: _Kept | None) -> bool:
        return kept is not None and abs(self._clock() - kept.at) < _ANEW

    def _secret(self, tx: Transaction, directory: Directory, peer: PublicKeys) -> bytes:
        own, shared = self._own(directory), None
        if uses_kem(own.public, peer):
            shared = self._kem_secret(tx, peer)
        place = (directory.digest, peer.label, shared or b"")
        if place not in self._secrets:
            if len(self._secrets) >= _MOST_CACHED:
                self._secrets.clear()
            made = pair_secret(own, peer, directory.digest, shared)
            self._secrets[place] = made
        return self._secrets[place]

    def _kem_secret(self, tx: Transaction, peer: PublicKeys) -> bytes | None:
        if self._keys.label < peer.label:
            kept = self._found(tx, self._keys.public, peer)
            return None if kept is None else kept.secret
        kept = self._found(tx, peer, self._keys.public)
        return None if kept is None else opened(self._keys, peer, kept.encapsulation)

    def _own(self, directory: Directory) -> SecretKeys:
        """Return this agency's keys, as far as the board lists them."""
        return self._bare if self._listed(directory).kem is None else self._keys

    def _listed(self, directory: Directory) -> PublicKeys:
        return self._member(directory, self._keys.label)

    def _member(self, directory: Directory, label: str) -> PublicKeys:
        found = directory.get(label)
        if found is None:
            raise RequisitionRefused(
                "READY_INVALID", f"The board lists no keys for {label!a}."
            )
        return found

    def _partners(self, directory: Directory) -> Iterable[PublicKeys]:
        """Yield the members with whom this agency needs an encapsulation."""
        if directory.get(self._keys.label) != self._keys.public:
            return  # the board lists no ML-KEM key for it, or has others here
        for peer in directory.values():
            if peer.label != self._keys.label and uses_kem(self._keys.public, peer):
                yield peer

    def _made(self, tx: Transaction, peer: PublicKeys) -> _Kept:
        found = self._found(tx, self._keys.public, peer)
        if found is not None:
            return found
        made, secret = encapsulate(self._keys, peer)
        self._put(tx, self._keys.public, peer, made, secret)
        return _Kept(encapsulation=made, secret=secret, at=self._clock())

    def _found(
        self, tx: Transaction, sender: PublicKeys, receiver: PublicKeys
    ) -> _Kept | None:
        found = tx.execute(_FIND, _place(sender, receiver)).fetchall()
        if not found:
            return None
        ciphertext, signature, secret, kept_at = found[0]
        return _Kept(
            encapsulation=Encapsulation(
                sender=sender.label,
                receiver=receiver.label,
                ciphertext=ciphertext,
                signature=signature,
            ),
            secret=secret,
            at=datetime.datetime.fromtimestamp(kept_at, datetime.UTC),
        )

    def _put(
        self,
        tx: Transaction,
        sender: PublicKeys,
        receiver: PublicKeys,
        made: Encapsulation,
        secret: bytes | None,
    ) -> None:
        place = _place(sender, receiver)
        sent = {"ciphertext": made.ciphertext, "signature": made.signature}
        kept = {"secret": secret, "kept_at": int(self._clock().timestamp())}
        tx.execute(_PUT, {**place, **sent, **kept})


def _place(sender: PublicKeys, receiver: PublicKeys) -> dict[str, Any]:
    """Return by what an encapsulation is kept: another key needs another one."""
    return {
        "sender": sender.label,
        "receiver": receiver.label,
        "sender_keys": hashed("pair of keys", sender.sign, sender.exchange),
        "receiver_keys": receiver.kem_digest,
    }
