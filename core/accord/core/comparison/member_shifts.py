# SPDX-License-Identifier: Apache-2.0
"""What an agreement's members, data model and preset change in its meaning.

These documents are signed for the whole network; here they are looked at for one
agreement and its parties.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Final

from accord.core.comparison.orders import MORE_IS_LOOSER, Way
from accord.core.comparison.phrases import EVERY_VALUE, Shown, shown
from accord.core.comparison.shifts import Shift, shift, shifts
from accord.core.coverage import with_unrefined
from accord.core.errors import InvalidQuery
from accord.core.members import MemberForm, MembersForm, short_kem
from accord.core.model import DataModel
from accord.core.policy import MEMBERS, MODELS, PRESETS, Policy

SHIFTED_MEMBERS: Final = frozenset(
    {
        "hub.key",
        "hub.freshness",
        "members.remit.covers",
        "members.remit.persons_a_year",
        "members.lifetime.zcdp.epsilon",
        "members.lifetime.zcdp.delta",
        "members.lifetime.pure.epsilon",
        "members.key",
        "members.exchange",
        "members.kem",
        "members.signatory",
    }
)
"""Fields of ``members.yaml`` whose changes are listed one by one."""

MEMBERS_WITHOUT_EFFECT: Final[Mapping[str, str]] = {
    "network": "a name; the board's keys tell networks apart",
    "members.name": "how people call the agency; its label and key count",
    "members.remit.description": "for people; `covers` is what decisions look at",
    "members.remit.definitions": "for people; they stand beside the answers",
}
"""Fields of ``members.yaml`` whose change changes nobody's protection, with reasons."""


def policy_shifts(before: Policy, after: Policy) -> tuple[Shift, ...]:
    """Return every shift of an agreement and of all that its meaning depends on."""
    return (
        *shifts(before.agreement.form, after.agreement.form),
        *_model(before.model, after.model),
        *_preset(before, after),
        *_hub(before.members, after.members),
        *_members(before, after),
    )


def same_coverage(before: Policy, after: Policy) -> bool:
    """Tell whether what the parties declare is the same for every decision."""

    def declared(policy: Policy) -> list[object]:
        known = policy.members.members
        remits = [known[p].remit for p in policy.agreement.parties if p in known]
        return [(remit.covers, remit.persons_a_year) for remit in remits]

    return (
        before.agreement.parties == after.agreement.parties
        and before.members.members.keys() >= set(before.agreement.parties)
        and after.members.members.keys() >= set(after.agreement.parties)
        and declared(before) == declared(after)
    )


def _model(before: DataModel, after: DataModel) -> Iterator[Shift]:
    """A model of another name is a shift of the agreement already."""
    if before.name == after.name and before.digest != after.digest:
        path = f"{MODELS}/{after.name}.yaml"
        yield shift(Way.OTHER, path, "model.other", name=after.name)


def _preset(before: Policy, after: Policy) -> Iterator[Shift]:
    old, new = before.agreement.preset, after.agreement.preset
    if old is None or new is None or old.name != new.name:
        return
    if old.digest != new.digest:
        path = f"{PRESETS}/{new.name}.yaml"
        yield shift(Way.OTHER, path, "preset.other", name=new.name)


def _hub(before: MembersForm, after: MembersForm) -> Iterator[Shift]:
    for entry in ("key", "freshness"):
        old = getattr(before.hub, entry, None)
        new = getattr(after.hub, entry, None)
        if old != new:
            path = f"{MEMBERS}: hub.{entry}"
            yield shift(Way.OTHER, path, f"hub.{entry}", after=shown(new))


def _members(before: Policy, after: Policy) -> Iterator[Shift]:
    """Yield the shifts of parties; a party that comes or goes is a shift by itself."""
    dominance = any(
        policy.agreement.form.protect.no_agency_above is not None
        for policy in (before, after)
    )
    for party in after.agreement.parties:
        old = before.members.members.get(party)
        new = after.members.members.get(party)
        if party not in before.agreement.parties or old == new:
            continue
        if old is None or new is None:
            yield shift(
                Way.OTHER, f"{MEMBERS}: members.{party}", "member.other", party=party
            )
            continue
        yield from _lifetime(party, old, new)
        yield from _keys(party, old, new)
        yield from _covers(party, old, new, after.model, dominance=dominance)
        if dominance and old.remit.persons_a_year != new.remit.persons_a_year:
            yield shift(
                Way.OTHER,
                f"{MEMBERS}: members.{party}.remit.persons_a_year",
                "member.persons_a_year",
                party=party,
                before=shown(old.remit.persons_a_year),
                after=shown(new.remit.persons_a_year),
            )


def _lifetime(party: str, old: MemberForm, new: MemberForm) -> Iterator[Shift]:
    figures: dict[str, tuple[Fraction, Fraction]] = {
        "zcdp.epsilon": (old.lifetime.zcdp.epsilon, new.lifetime.zcdp.epsilon),
        "zcdp.delta": (old.lifetime.zcdp.delta, new.lifetime.zcdp.delta),
        "pure.epsilon": (old.lifetime.pure.epsilon, new.lifetime.pure.epsilon),
    }
    for entry, (first, second) in figures.items():
        way = MORE_IS_LOOSER.way(first, second)
        if way is not None:
            yield shift(
                way,
                f"{MEMBERS}: members.{party}.lifetime.{entry}",
                f"member.lifetime.{entry}",
                party=party,
                before=shown(first),
                after=shown(second),
            )


def _keys(party: str, old: MemberForm, new: MemberForm) -> Iterator[Shift]:
    """Yield keys that changed: whoever has them answers, or signs, for the party.

    The keys with which it masks its figures are as good as its identity: with somebody
    else's the figures lie open. Without the key against later computers they do so too,
    some day, so that its end is no less.
    """
    for entry in ("key", "exchange", "kem", "signatory"):
        first, second = getattr(old, entry), getattr(new, entry)
        if first == second:
            continue
        if second is None:
            left = new.key is None or entry == "signatory"
            yield shift(
                Way.TIGHTER if left else Way.OTHER,
                f"{MEMBERS}: members.{party}.{entry}",
                f"member.{entry}.gone",
                party=party,
            )
        else:
            yield shift(
                Way.OTHER,
                f"{MEMBERS}: members.{party}.{entry}",
                f"member.{entry}.other",
                party=party,
                after=short_kem(second) if entry == "kem" else second,
            )


def _covers(
    party: str, old: MemberForm, new: MemberForm, model: DataModel, *, dominance: bool
) -> Iterator[Shift]:
    """Yield remits that changed.

    A narrower one leaves figures with fewer members; where an agreement limits the
    part of one member, it can also take the largest member out of a figure.
    """
    for name in sorted(old.remit.covers.keys() | new.remit.covers.keys()):
        first, second = old.remit.covers.get(name), new.remit.covers.get(name)
        if first == second or name not in model.dimensions:
            continue
        before = _leaves(model, name, first)
        after = _leaves(model, name, second)
        if before == after and before is not None:
            continue
        if before is None or after is None:
            way = Way.OTHER
        elif after & ~before:
            way = Way.LOOSER
        else:
            way = Way.OTHER if dominance else Way.TIGHTER
        yield shift(
            way,
            f"{MEMBERS}: members.{party}.remit.covers.{name}",
            "member.covers",
            party=party,
            dimension=name,
            before=_declared(first),
            after=_declared(second),
        )


def _declared(values: list[str] | None) -> Shown:
    return EVERY_VALUE if values is None else shown(tuple(values))


def _leaves(model: DataModel, name: str, values: list[str] | None) -> int | None:
    """Return the leaves that a remit covers; nothing where the model has no such."""
    dimension = model.dimension(name)
    if values is None:
        return (1 << len(dimension.tree)) - 1
    try:
        return with_unrefined(dimension, tuple(values))
    except InvalidQuery:
        return None
