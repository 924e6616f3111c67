# SPDX-License-Identifier: Apache-2.0
"""How a board and its seats may change; part of `accord.core.approval`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from accord.core.board import BoardForm
from accord.core.messages import sentence
from accord.core.policy import BOARD, PolicySet


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """One rule that a change does not keep."""

    reason: str
    """Of the error."""
    message: str
    values: tuple[tuple[str, str], ...]

    def text(self, language: str = "en") -> str:
        """Return the sentence for people."""
        return sentence(f"approval.{self.message}", language, **dict(self.values))


def lack(reason: str, message: str, **values: str) -> Lack:
    """Return a lack with its values in a fixed order."""
    return Lack(reason=reason, message=message, values=tuple(sorted(values.items())))


def lacks_of_board(
    before: PolicySet, after: PolicySet, signers: frozenset[str], recovered: str | None
) -> Iterator[Lack]:
    """Yield what a change of ``board.yaml`` lacks.

    Args:
        before: the policies in force.
        after: what would come into force.
        signers: keys that validly signed the metadata that bind ``board.yaml``.
        recovered: what `recovered_seat` returns.
    """
    old, new = before.board, after.board
    if old is None or old == new:
        return
    if new is None:
        yield lack("POLICY_SEAT_MISSING", "board-gone")
    elif recovered is not None and old.members[recovered].key not in signers:
        yield from _about_recovery(old, new, recovered, signers)
    else:
        yield from _about_seats(old, new, signers)
        yield from _about_growth(before, old, new, signers)


def recovered_seat(before: PolicySet, after: PolicySet) -> str | None:
    """Return the board member whose key alone is replaced, if it holds a seat.

    Nothing else changes: not the other members, the seats, the threshold, and no
    other document.
    """
    old, new = before.board, after.board
    if old is None or new is None:
        return None
    if _beside_board(before) != _beside_board(after):
        return None
    gone = [who for who, each in old.members.items() if new.members.get(who) != each]
    come = [who for who, each in new.members.items() if old.members.get(who) != each]
    if len(gone) != 1 or len(come) != 1:
        return None
    (lost,), (found,) = gone, come
    seats = {seat: found if who == lost else who for seat, who in old.seats.items()}
    alike = (old.board, old.threshold, seats) == (new.board, new.threshold, new.seats)
    return lost if alike and lost in old.seats.values() else None


def board_keys(board: BoardForm | None) -> frozenset[str]:
    """Return the keys of all members."""
    return frozenset(m.key for m in board.members.values()) if board else frozenset()


def key_of(board: BoardForm | None, label: str | None) -> str | None:
    """Return a member's key; nothing where there is no such member."""
    member = board.members.get(label) if board and label else None
    return member.key if member else None


def _beside_board(policies: PolicySet) -> dict[str, bytes]:
    return {path: text for path, text in policies.documents.items() if path != BOARD}


def _about_seats(
    old: BoardForm, new: BoardForm, signers: frozenset[str]
) -> Iterator[Lack]:
    """Yield seats whose holder must sign.

    Its own, if it changes hands; and whenever a key leaves the board, whosever it is.
    Else a few could send the others away until they are all that is left, and then
    say together that a holder's key is lost.
    """
    leaves = bool(board_keys(old) - board_keys(new))
    for seat, holder in sorted(old.seats.items()):
        key = old.members[holder].key
        if key in signers:
            continue
        if key_of(new, new.seats.get(seat)) != key:
            yield lack("POLICY_SEAT_MISSING", "seat-taken", seat=seat, holder=holder)
        elif leaves:
            yield lack("POLICY_SEAT_MISSING", "board-left", seat=seat, holder=holder)


def _about_growth(
    before: PolicySet, old: BoardForm, new: BoardForm, signers: frozenset[str]
) -> Iterator[Lack]:
    """A few members must not fill the board until they are a quorum by themselves."""
    keys = board_keys(old)
    if board_keys(new) <= keys and new.threshold >= old.threshold:
        return
    count = len(keys & signers)
    for agreement in before.agreements.values():
        approval = agreement.form.approval
        if approval.signatories == "board" and count < approval.quorum:
            yield lack(
                *("POLICY_SIGNATURES_MISSING", "board-quorum"),
                agreement=agreement.name,
                needed=str(approval.quorum),
                count=str(count),
            )


def _about_recovery(
    old: BoardForm, new: BoardForm, lost: str, signers: frozenset[str]
) -> Iterator[Lack]:
    """Everybody else and the new key sign; a board of one cannot recover."""
    others = {who: each.key for who, each in old.members.items() if who != lost}
    silent = sorted(who for who, key in others.items() if key not in signers)
    fresh = board_keys(new) - board_keys(old)
    if silent or not others or not fresh or not fresh <= signers:
        silent += [] if fresh and fresh <= signers else ["+"]
        yield lack(
            *("POLICY_SEAT_MISSING", "recovery"),
            holder=lost,
            silent=", ".join(silent) or "-",
        )
