# SPDX-License-Identifier: Apache-2.0
"""Which clauses of an agreement changed, and in which direction.

Clauses that only decide which requests are allowed are compared over all requests, in
`accord.core.comparison.difference`. What is neither there nor here has no effect on
anybody's protection; `WITHOUT_EFFECT` says why, field by field.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Final

from accord.core.agreement_form import EVERYONE, AgreementForm
from accord.core.comparison.clauses import CLAUSES, value_of
from accord.core.comparison.orders import LINKAGE, Way
from accord.core.comparison.phrases import NOT_AT_ALL, Shown, shown, words_of
from accord.core.messages import sentence

REQUESTED: Final = frozenset(
    {
        "purpose",
        "recipients.roles",
        "recipients.organisations",
        "may_ask.measures",
        "may_ask.group_by",
        "may_ask.at_most_dimensions",
        "may_ask.never_together",
    }
)
"""Fields that decide which requests are allowed, and nothing else."""

SHIFTED: Final = frozenset(clause.path for clause in CLAUSES) | {
    "agreement",
    "cohorts",
    "linkage",
    "may_ask.hidden_values",
    "bulletins.measure",
    "bulletins.by",
    "bulletins.where",
    "bulletins.every",
    "bulletins.epsilon",
    "bulletins.purpose",
}
"""Fields whose changes are listed one by one."""

WITHOUT_EFFECT: Final[Mapping[str, str]] = {
    "version": "a number that only goes up; checked when a change is accepted",
    "protect.reason_for_fewer_agencies": "a reason for people; the number counts",
    "protect.hub_sees_exact_pooled_sums": "stands exactly where the noise is the hub's",
    "rounds.every": "when machines are awake; what may be answered stays the same",
    "rounds.on": "when machines are awake; what may be answered stays the same",
    "rounds.at": "when machines are awake; what may be answered stays the same",
    "rounds.open": "when machines are awake; what may be answered stays the same",
    "rounds.deadline": "when a fallback steps in; which ones may, `cohorts` says",
    "law.regime": "said for the dossier; no decision depends on it",
    "law.basis": "said for the dossier; no decision depends on it",
    "law.assessment": "said for the dossier; no decision depends on it",
    "contacts.breach": "whom to call; no decision depends on it",
    "contacts.complaints": "whom to call; no decision depends on it",
    "contacts.audit": "whom to call; no decision depends on it",
}
"""Fields of an agreement whose change changes nobody's protection, with the reason."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """One clause that changed."""

    way: Way
    path: str
    """Of the clause, as documents write it."""
    message: str
    values: tuple[tuple[str, Shown], ...] = ()

    def text(self, language: str = "en") -> str:
        """Return the sentence for people."""
        spoken = {name: words_of(value, language) for name, value in self.values}
        return sentence(self.message, language, **spoken)


def shift(way: Way, path: str, message: str, **values: Shown) -> Shift:
    """Return a shift with its values in a fixed order."""
    return Shift(
        way=way,
        path=path,
        message=f"compare.{message}",
        values=tuple(sorted(values.items())),
    )


def shifts(before: AgreementForm, after: AgreementForm) -> tuple[Shift, ...]:
    """Return every clause that changed protection, price or who decides."""
    return tuple(_shifts(before, after))


def _shifts(before: AgreementForm, after: AgreementForm) -> Iterator[Shift]:
    if before.agreement != after.agreement:
        yield shift(
            *(Way.OTHER, "agreement", "agreement"),
            before=before.agreement,
            after=after.agreement,
        )
    yield from _emergency(before, after)
    for clause in CLAUSES:
        if not _comparable(clause.path, before, after):
            continue
        old, new = value_of(before, clause.path), value_of(after, clause.path)
        way = clause.order.way(old, new)
        if way is not None:
            yield shift(
                *(way, clause.path, clause.path),
                before=shown(old, clause.unit),
                after=shown(new, clause.unit),
            )
    yield from _cohorts(before, after)
    yield from _linkage(before, after)
    yield from _hidden_values(before, after)
    yield from _bulletins(before, after)


def _comparable(path: str, before: AgreementForm, after: AgreementForm) -> bool:
    """Tell whether a change of the clause is not part of another one."""
    if path.startswith("emergency."):
        return before.emergency is not None and after.emergency is not None
    if path == "spend.delta":
        return before.spend.accounting is after.spend.accounting
    if path.startswith("protect.hub_sees_at_most."):
        return before.noise == after.noise == "shared"
    return True


def _emergency(before: AgreementForm, after: AgreementForm) -> Iterator[Shift]:
    if before.emergency is None and after.emergency is not None:
        clause = after.emergency
        yield shift(
            *(Way.LOOSER, "emergency", "emergency.new"),
            purpose=clause.purpose,
            epsilon=shown(clause.spend.epsilon),
            days=shown(clause.at_most, "day"),
            approvers=shown(tuple(clause.approvers)),
        )
    if before.emergency is not None and after.emergency is None:
        yield shift(Way.TIGHTER, "emergency", "emergency.gone")


def _cohorts(before: AgreementForm, after: AgreementForm) -> Iterator[Shift]:
    old, new = _members_of_cohorts(before), _members_of_cohorts(after)
    for name in sorted(old.keys() | new.keys()):
        path = f"cohorts.{name}"
        if name not in old:
            members = shown(new[name])
            yield shift(Way.LOOSER, path, "cohorts.new", name=name, members=members)
        elif name not in new:
            yield shift(Way.TIGHTER, path, "cohorts.gone", name=name)
        elif old[name] != new[name]:
            yield shift(
                *(Way.OTHER, path, "cohorts.other"),
                name=name,
                before=shown(old[name]),
                after=shown(new[name]),
            )


def _members_of_cohorts(form: AgreementForm) -> dict[str, frozenset[str]]:
    return {
        name: frozenset(form.parties if members == EVERYONE else members)
        for name, members in form.cohorts.items()
    }


def _linkage(before: AgreementForm, after: AgreementForm) -> Iterator[Shift]:
    for party in sorted(before.linkage.keys() | after.linkage.keys()):
        old = before.linkage.get(party, "none")
        new = after.linkage.get(party, "none")
        way = LINKAGE.way(old, new)
        if way is not None:
            yield shift(
                *(way, f"linkage.{party}", "linkage"),
                party=party,
                before=NOT_AT_ALL if old == "none" else old,
                after=NOT_AT_ALL if new == "none" else new,
            )


def _hidden_values(before: AgreementForm, after: AgreementForm) -> Iterator[Shift]:
    old, new = before.may_ask.hidden_values, after.may_ask.hidden_values
    for name in sorted(old.keys() | new.keys()):
        path = f"may_ask.hidden_values.{name}"
        first, second = frozenset(old.get(name, ())), frozenset(new.get(name, ()))
        if first - second:
            values = shown(first - second)
            yield shift(
                *(Way.LOOSER, path, "hidden.gone"), dimension=name, values=values
            )
        if second - first:
            values = shown(second - first)
            yield shift(
                *(Way.TIGHTER, path, "hidden.new"), dimension=name, values=values
            )


def _bulletins(before: AgreementForm, after: AgreementForm) -> Iterator[Shift]:
    for name in sorted(before.bulletins.keys() | after.bulletins.keys()):
        old, new = before.bulletins.get(name), after.bulletins.get(name)
        path = f"bulletins.{name}"
        if old is None and new is not None:
            yield shift(Way.LOOSER, path, "bulletin.new", name=name)
        elif new is None:
            yield shift(Way.TIGHTER, path, "bulletin.gone", name=name)
        elif old != new:
            yield shift(Way.OTHER, path, "bulletin.other", name=name)
