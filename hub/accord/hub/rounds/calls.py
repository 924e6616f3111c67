# SPDX-License-Identifier: Apache-2.0
"""What is sent to agencies for one question; made once for all of them.

Only the encapsulations that an agency lacks differ from one to the other. A cohort is
not shown to an agency before they are here: without them it could only refuse.
"""

from __future__ import annotations

import functools

from accord.hub.rounds.outbox import Call
from accord.hub.rounds.round import Round
from accord.hub.rounds.stages import Wanted
from accord.hub.rounds.submissions import Submission
from accord.rpc.rounds import (
    encapsulation_to_message,
    member_readies_to_messages,
    receipts_to_messages,
)
from accord.secagg.keys import Directory, Encapsulation, PublicKeys
from accord.v1 import agent_pb2


class Pairs:
    """The newest encapsulation by sender and receiver."""

    def __init__(self) -> None:
        """Begin with none."""
        self._newest: dict[tuple[str, str], Encapsulation] = {}
        self._replaced: dict[str, set[str]] = {}

    def put(self, made: Encapsulation) -> bool:
        """Keep one; tell whether it is new."""
        key = (made.sender, made.receiver)
        before = self._newest.get(key)
        if before == made:
            return False
        self._newest[key] = made
        if before is not None:
            self._replaced.setdefault(made.receiver, set()).add(made.sender)
        return True

    def get(self, sender: str, receiver: str) -> Encapsulation | None:
        """Return the newest of a pair, if there is any."""
        return self._newest.get((sender, receiver))

    def replaced(self, receiver: str) -> frozenset[str]:
        """Return who made another one since the hub was started.

        The receiver may not know: it would go on with a secret that the sender has
        lost.
        """
        return frozenset(self._replaced.get(receiver, ()))


class Calls:
    """Messages about one submission."""

    def __init__(self, submission: Submission) -> None:
        """Begin with none; the requisition's bytes are the submission's."""
        self._submission = submission
        self._made: dict[tuple[Wanted, int], Call] = {}

    def of(
        self,
        agency: str,
        wanted: Wanted,
        round_: Round,
        directory: Directory,
        pairs: Pairs,
    ) -> Call | None:
        """Return what an agency is to be sent; nothing while something for it lacks."""
        key = (wanted, round_.current.number)
        made = self._made.get(key)
        if made is None:
            # Older attempts are over for ever.
            self._made = {k: v for k, v in self._made.items() if k[1] == key[1]}
            made = self._make(wanted, round_)
            self._made[key] = made
        if not isinstance(made, agent_pb2.CohortCall):
            return made
        lacking = round_.current.lacking.get(agency, frozenset())
        needed = (lacking | pairs.replaced(agency)).intersection(round_.current.members)
        found = {
            sender: valid
            for sender in sorted(needed)
            if (valid := signed_for(pairs.get(sender, agency), directory))
        }
        round_.current.hold_back(agency, needed - found.keys())
        if needed - found.keys():
            return None
        if not needed:
            return made
        own = agent_pb2.CohortCall()
        own.CopyFrom(made)
        own.encapsulations.extend(map(encapsulation_to_message, found.values()))
        return own

    def _make(self, wanted: Wanted, round_: Round) -> Call:
        current, submission = round_.current, self._submission
        match wanted:
            case Wanted.COHORT:
                return agent_pb2.CohortCall(
                    query_id=submission.id,
                    attempt=current.number,
                    cohort=current.cohort or "",
                    readies=member_readies_to_messages(current.cohort_readies()),
                )
            case Wanted.RECEIPTS:
                return agent_pb2.RevealCall(
                    query_id=submission.id,
                    attempt=current.number,
                    receipts=receipts_to_messages(current.cohort_receipts()),
                )
            case _:
                return agent_pb2.Requisition(
                    payload=submission.payload,
                    signature=submission.signature,
                    attempt=current.number,
                )


def signed_for(
    made: Encapsulation | None, directory: Directory
) -> Encapsulation | None:
    """Return an encapsulation if it is signed for the keys that are listed now."""
    if made is None:
        return None
    sender, receiver = directory.get(made.sender), directory.get(made.receiver)
    if sender is None or receiver is None:
        return None
    return made if _is_signed(made, sender, receiver) else None


@functools.lru_cache(maxsize=1 << 16)
def _is_signed(made: Encapsulation, sender: PublicKeys, receiver: PublicKeys) -> bool:
    """Tell it from memory: of a pair it is the same for every question."""
    return sender.has_signed(made.body(receiver), made.signature)
