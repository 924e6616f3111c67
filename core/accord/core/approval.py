# SPDX-License-Identifier: Apache-2.0
"""Whether a change of policies was approved by those whom the policies in force name.

TUF proves that enough board members signed. Beyond that, under the version in force:

1. A changed agreement has a higher version.
2. A changed or loosened agreement has its own quorum of signatures.
3. What an agreement guards with seats does not become looser without them. Looser is
   what `compare` says of the agreement and of all that it depends on: a data model, a
   preset, its members and the keys of those who declare its emergency.
4. A new agreement, or one that gets new parties, needs every seat of the board. So an
   agreement that ends and comes back, or comes back under another name, finds the same
   guard: seats stand in ``board.yaml``, and agreements need not be remembered.
5. A seat neither ends nor changes hands without a signature of the key that holds it.
   If that key is lost, all other members of the old board and the new key sign
   together, and such a change contains nothing else.
6. No key leaves the board without the signatures of all seats, so that a few cannot
   first send away the others who would have to sign such a replacement.

Agencies hold what concerns them, and judge by that. So a change is judged for those
too to whom an agreement is new because they become parties to it: what they will ask
for is asked of everybody.

A signature counts on the metadata that bind the document: of role ``targets``, or of
``agreement-NAME`` where the agreement's own parties sign. It is the keys of the version
in force that count, never those that the change brings along.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import Final, TypeAlias

from accord.core.agreement import Agreement
from accord.core.board_changes import (
    Lack,
    board_keys,
    key_of,
    lack,
    lacks_of_board,
    recovered_seat,
)
from accord.core.comparison.difference import Difference, compare
from accord.core.errors import PolicyDenied
from accord.core.policy import AGREEMENTS, PolicySet

TARGETS: Final = "targets"
"""Role whose metadata bind every document that is not delegated."""

Signed: TypeAlias = Mapping[str, frozenset[str]]
"""By role, the known keys that validly signed its metadata."""

_NOBODY: Final[frozenset[str]] = frozenset()
_FIRST_REASONS: Final = (
    "POLICY_ROLLBACK",
    "POLICY_VERSION_REUSED",
    "POLICY_SEAT_MISSING",
    "POLICY_SIGNATURES_MISSING",
)


def missing(
    before: PolicySet | None, after: PolicySet, signed: Signed, language: str = "en"
) -> tuple[str, ...]:
    """Return what a change still lacks, in sentences; nothing where it is approved.

    Args:
        before: the policies in force; nothing where a board is founded.
        after: what would come into force.
        signed: by role, the keys that validly signed the new metadata.
        language: of the sentences.
    """
    lacks = dict.fromkeys(_lacks(before, after, signed))
    return tuple(each.text(language) for each in lacks)


def check_change(before: PolicySet | None, after: PolicySet, signed: Signed) -> None:
    """Refuse a change that was not approved.

    The first policies that an agency ever sees are accepted: it confirmed the board's
    own fingerprint, and there is nothing to compare with.

    Raises:
        PolicyDenied: POLICY_ROLLBACK, POLICY_VERSION_REUSED, POLICY_SEAT_MISSING or
            POLICY_SIGNATURES_MISSING, with every sentence.
    """
    if before is None:
        return
    lacks = list(dict.fromkeys(_lacks(before, after, signed)))
    if lacks:
        reasons = {each.reason for each in lacks}
        raise PolicyDenied(
            next(reason for reason in _FIRST_REASONS if reason in reasons),
            " ".join(each.text() for each in lacks),
        )


def loosened(before: PolicySet | None, after: PolicySet) -> dict[str, Difference]:
    """Return the agreements that a change makes looser, or new, with how."""
    found = {}
    for name in sorted(after.agreements):
        difference = _difference(before, after, name)
        if difference is not None and difference.loosens:
            found[name] = difference
    return found


def seats_needed(
    before: PolicySet | None, after: PolicySet
) -> dict[str, tuple[str, ...]]:
    """Return for every agreement that a change loosens the seats that must sign."""
    return {
        name: seats
        for name in sorted(after.agreements)
        if _is_looser(before, after, name) and (seats := _seats(before, after, name))
    }


def board_needs(
    before: PolicySet | None, after: PolicySet, language: str = "en"
) -> tuple[str, ...]:
    """Return whose signatures a change of ``board.yaml`` needs beyond its threshold."""
    if before is None:
        return ()
    recovered = recovered_seat(before, after)
    lacks = lacks_of_board(before, after, _NOBODY, recovered)
    return tuple(each.text(language) for each in dict.fromkeys(lacks))


def signers_wanted(
    before: PolicySet | None, after: PolicySet
) -> dict[str, frozenset[str]]:
    """Return for every role whose documents change the keys whose signature counts."""
    wanted: dict[str, set[str]] = {}
    documents = before.documents if before is not None else {}
    for path in sorted(documents.keys() | after.documents.keys()):
        if documents.get(path) == after.documents.get(path):
            continue
        name = path.removeprefix(f"{AGREEMENTS}/").removesuffix(".yaml")
        own = path.startswith(f"{AGREEMENTS}/") and name in after.agreements
        role = binding_role(after.agreements[name]) if own else TARGETS
        known = before is not None and name in before.agreements
        grown = own and known and before and _gets_parties(before, after, name)
        roles = {role} if known and not grown else {role, TARGETS}
        keys: set[str] = set()
        for policies in (before, after):
            if policies is None:
                continue
            keys.update(board_keys(policies.board))
            touched = [name] if own else sorted(policies.agreements)
            for each in touched:
                keys.update(_signatory_keys(policies, each))
        for each in roles:
            wanted.setdefault(each, set()).update(keys)
    return {role: frozenset(keys) for role, keys in wanted.items()}


def binding_role(agreement: Agreement) -> str:
    """Return the role whose metadata hold the digest of an agreement's text."""
    if agreement.form.approval.signatories == "parties":
        return f"agreement-{agreement.name}"
    return TARGETS


def _lacks(
    before: PolicySet | None, after: PolicySet, signed: Signed
) -> Iterator[Lack]:
    if before is not None and before.documents == after.documents:
        return
    if before is not None:
        recovered = recovered_seat(before, after)
        signers = signed.get(TARGETS, frozenset())
        yield from lacks_of_board(before, after, signers, recovered)
        if recovered is not None:
            return
    for name in sorted(after.agreements):
        yield from _about_agreement(before, after, name, signed)


def _about_agreement(
    before: PolicySet | None, after: PolicySet, name: str, signed: Signed
) -> Iterator[Lack]:
    old = before.agreements.get(name) if before is not None else None
    new = after.agreements[name]
    if before is not None and _gets_parties(before, after, name):
        yield from _about_agreement(_as_new(before, name), after, name, signed)
    rewritten = old is None or old.digest != new.digest
    looser = _is_looser(before, after, name)
    if not (rewritten or looser):
        return
    if old is not None and rewritten:
        yield from _about_version(old, new)
    roles = {binding_role(new)} if rewritten else {TARGETS}
    if old is not None and looser and _shared_documents_loosen(before, after, name):
        roles.add(TARGETS)
    for role in sorted(roles):
        yield from _about_quorum(before, after, old or new, signed.get(role, _NOBODY))
    if not looser:
        return
    if old is None:
        roles.add(TARGETS)
    signers = frozenset.intersection(*(signed.get(role, _NOBODY) for role in roles))
    for seat in _seats(before, after, name):
        key = _seat_key(before, after, seat)
        if key is None or key not in signers:
            yield lack("POLICY_SEAT_MISSING", "seat", agreement=name, seat=seat)


def _about_version(old: Agreement, new: Agreement) -> Iterator[Lack]:
    first, second = old.form.version, new.form.version
    if second <= first:
        reason = "POLICY_ROLLBACK" if second < first else "POLICY_VERSION_REUSED"
        yield lack(
            *(reason, "version-lower" if second < first else "version-reused"),
            agreement=new.name,
            version=str(second),
            least=str(first + 1),
        )


def _about_quorum(
    before: PolicySet | None,
    after: PolicySet,
    ruling: Agreement,
    signers: frozenset[str],
) -> Iterator[Lack]:
    """Yield what an agreement's own quorum lacks, by the keys in force."""
    approval = ruling.form.approval
    policies = before if before is not None else after
    if approval.signatories == "board":
        keys = board_keys(policies.board)
    else:
        in_force = before if before and ruling.name in before.agreements else after
        keys = frozenset(_signatory_keys(in_force, ruling.name))
    count = len(keys & signers)
    if count < approval.quorum:
        yield lack(
            "POLICY_SIGNATURES_MISSING",
            f"quorum-{approval.signatories}",
            agreement=ruling.name,
            needed=str(approval.quorum),
            count=str(count),
        )


def _seats(before: PolicySet | None, after: PolicySet, name: str) -> tuple[str, ...]:
    """Return the seats without which an agreement cannot become looser."""
    new = after.agreements[name]
    named = frozenset(new.form.approval.loosening_needs)
    if before is None:
        return tuple(sorted(named))
    every = frozenset(before.board.seats if before.board else ())
    old = before.agreements.get(name)
    if old is None:
        return tuple(sorted(every | named))
    guarding = frozenset(old.form.approval.loosening_needs)
    if _gets_parties(before, after, name):
        guarding |= every | named
    return tuple(sorted(guarding))


def _seat_key(before: PolicySet | None, after: PolicySet, seat: str) -> str | None:
    """Return the key that holds a seat; of a seat that is new, the one it gets."""
    boards = [policies.board for policies in (before, after) if policies is not None]
    for board in boards:
        if board is not None and seat in board.seats:
            return board.members[board.seats[seat]].key
    return None


def _difference(
    before: PolicySet | None, after: PolicySet, name: str
) -> Difference | None:
    """Return how an agreement changes; nothing where it does not."""
    old = before.policy(name) if before is not None else None
    new = after.policy(name)
    if old is not None and new is not None and old.digest == new.digest:
        return None
    return compare(old, new)


def _is_looser(before: PolicySet | None, after: PolicySet, name: str) -> bool:
    if before is not None and (
        _approvers_differ(before, after, name) or _gets_parties(before, after, name)
    ):
        return True
    difference = _difference(before, after, name)
    return difference is not None and difference.loosens


def _shared_documents_loosen(
    before: PolicySet | None, after: PolicySet, name: str
) -> bool:
    """Tell whether more than the agreement's own text makes it looser.

    Judged with the agreement's new text in both, and by its own documents alone: a
    model or preset that others used already is new to an agency that is not among them.
    """
    old, new = before.policy(name) if before else None, after.policy(name)
    if before is None or old is None or new is None:
        return True
    if _approvers_differ(before, after, name) or old.model.name != new.model.name:
        return True
    preset = new.agreement.preset
    if preset is not None and old.agreement.preset != preset:
        return True
    if (before.members, old.model.digest) == (new.members, new.model.digest):
        return False
    mixed = dataclasses.replace(new, members=before.members, model=old.model)
    return compare(mixed, new).loosens


def _gets_parties(before: PolicySet, after: PolicySet, name: str) -> bool:
    """Tell whether an agreement in force gets parties, to whom it is a new one."""
    old = before.agreements.get(name)
    return old is not None and not set(after.agreements[name].parties) <= set(
        old.parties
    )


def _as_new(before: PolicySet, name: str) -> PolicySet:
    """Return what an agency has that was no party to an agreement."""
    others = {key: each for key, each in before.agreements.items() if key != name}
    return dataclasses.replace(before, agreements=others)


def _approvers_differ(before: PolicySet, after: PolicySet, name: str) -> bool:
    """Tell whether the same names on the board declare an emergency by other keys."""
    old, new = before.agreements.get(name), after.agreements[name]
    if old is None or old.form.emergency is None or new.form.emergency is None:
        return False
    kept = set(old.form.emergency.approvers) & set(new.form.emergency.approvers)
    return any(key_of(before.board, each) != key_of(after.board, each) for each in kept)


def _signatory_keys(policies: PolicySet, name: str) -> Collection[str]:
    agreement = policies.agreements.get(name)
    known = policies.members.members
    keys = [known[p].signatory for p in agreement.parties] if agreement else []
    return [key for key in keys if key is not None]
