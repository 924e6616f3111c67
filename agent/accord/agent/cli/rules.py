# SPDX-License-Identifier: Apache-2.0
"""The commands of the agency's own rules: ``rules …``, stop and resume sharing.

Each takes effect from the next question on, in an agent that runs as well. Reasons stay
in the agency's database; the hub hears the kind of the rule only.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Annotated

import typer

from accord.agent.answer import utc_now
from accord.agent.cli.options import AsJson, StateOption, console, screen
from accord.agent.cli.screens import print_json, print_line
from accord.agent.policies import policies_of
from accord.agent.rules.rulebook import Kept, add_rule, remove_rule, resume, rules_of
from accord.agent.rules.rules import Kind, Rule, plain
from accord.agent.state import AgentState, state_root
from accord.core.errors import InvalidQuery, suggestion
from accord.core.policy import Policy

_LARGEST_EPSILON = 1000
_LONGEST_PERIOD = 36_500
_MOST_MEMBERS = 1000
_LONGEST_TEXT = 500


class Vetoed(enum.StrEnum):
    """What a veto can name."""

    DIMENSION = "dimension"
    PURPOSE = "purpose"
    ANALYST = "analyst"
    ORGANISATION = "organisation"
    AGREEMENT = "agreement"
    MEASURE = "measure"


_NAMED = {
    Kind.VETO_DIMENSION: "dimension",
    Kind.VETO_PURPOSE: "purpose",
    Kind.VETO_ORGANISATION: "organisation",
    Kind.VETO_AGREEMENT: "agreement",
    Kind.VETO_MEASURE: "measure",
}
"""What agreements name; analysts are named by the hub alone."""

Reason = Annotated[str, typer.Option("--reason", help="Why; stays with this agency.")]
NeededReason = Annotated[
    str,
    typer.Option("--reason", help="Why; stays with this agency.", show_default=False),
]
Named = Annotated[str, typer.Argument(help="What is refused, as agreements call it.")]
Amount = Annotated[str, typer.Argument(help="As an epsilon.", metavar="EPSILON")]

rules_app = typer.Typer(
    name="rules",
    help="This agency's own rules: they only ever refuse, whatever is agreed.",
    no_args_is_help=True,
)
cap_app = typer.Typer(
    name="cap", help="Spend less than the agreement allows.", no_args_is_help=True
)
rules_app.add_typer(cap_app)


@rules_app.command("list")
def list_rules(
    *,
    removed: Annotated[
        bool, typer.Option("--all", help="Also rules that hold no more.")
    ] = False,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """List the rules with who made them, when and why."""
    found = rules_of(AgentState.open(state_root(state)), removed=removed)
    if as_json:
        print_json(console, {"rules": [kept.as_json() for kept in found]})
        return
    for kept in found:
        print_line(console, _line(kept))
    if not found:
        print_line(console, "There are no rules: what is agreed decides alone.")


@rules_app.command("remove")
def remove(
    number: Annotated[int, typer.Argument(help="As `rules list` shows it.", min=1)],
    *,
    reason: Reason = "",
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Take a rule out of force; that it held is remembered."""
    opened = AgentState.open(state_root(state))
    rule = remove_rule(opened, number, _short(reason), utc_now())
    if as_json:
        print_json(console, {"removed": [Kept(rule=rule).as_json()]})
        return
    print_line(console, f"No longer in force: {rule.text()}")


@rules_app.command("veto")
def veto(
    what: Annotated[Vetoed, typer.Argument(help="What the name is of.")],
    name: Named,
    *,
    reason: Reason = "",
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Refuse questions that use something, or that somebody asks, by its name."""
    opened = _open(state)
    kind = Kind(f"veto-{what}")
    rule = Rule(kind=kind, subject=_word(name), reason=_short(reason))
    _add(rule, opened, as_json=as_json, hint=_hint(kind, rule.subject, opened))


@cap_app.command("release")
def cap_release(
    epsilon: Amount,
    *,
    reason: Reason = "",
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Refuse releases that cost more than an epsilon each."""
    rule = Rule(kind=Kind.CAP_RELEASE, epsilon=_epsilon(epsilon), reason=_short(reason))
    _add(rule, _open(state), as_json=as_json)


@cap_app.command("period")
def cap_period(
    epsilon: Amount,
    *,
    days: Annotated[
        int,
        typer.Option(
            min=1,
            max=_LONGEST_PERIOD,
            help="Length of the period, which slides.",
            show_default=False,
        ),
    ],
    agreement: Annotated[
        str | None,
        typer.Option(help="Count the releases of this one only.", show_default=False),
    ] = None,
    reason: Reason = "",
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Refuse releases that would cost more than an epsilon in a period."""
    opened = _open(state)
    rule = Rule(
        kind=Kind.CAP_PERIOD,
        subject=_word(agreement) if agreement is not None else "",
        epsilon=_epsilon(epsilon),
        number=days,
        reason=_short(reason),
    )
    hint = ""
    if agreement is not None:
        hint = _hint(Kind.VETO_AGREEMENT, rule.subject, opened)
    _add(rule, opened, as_json=as_json, hint=hint)


@rules_app.command("cohort-at-least")
def cohort_at_least(
    members: Annotated[
        int, typer.Argument(min=1, max=_MOST_MEMBERS, help="Agencies, this one too.")
    ],
    *,
    reason: Reason = "",
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Refuse to answer together with fewer agencies."""
    rule = Rule(kind=Kind.COHORT_AT_LEAST, number=members, reason=_short(reason))
    _add(rule, _open(state), as_json=as_json)


def stop_sharing(
    *,
    reason: NeededReason,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Answer nothing from now on, until `resume-sharing`."""
    rule = Rule(kind=Kind.STOP_SHARING, reason=_short(reason))
    _add(rule, _open(state), as_json=as_json)


def resume_sharing(
    *,
    reason: NeededReason,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Answer again what agreements and rules allow."""
    ended = resume(_open(state), _short(reason), utc_now())
    if as_json:
        print_json(console, {"removed": [Kept(rule=rule).as_json() for rule in ended]})
    elif ended:
        print_line(console, "Sharing goes on from the next question.")
    else:
        print_line(console, "Sharing was not stopped.")


def _open(state: StateOption) -> AgentState:
    return AgentState.open(state_root(state))


def _add(rule: Rule, state: AgentState, *, as_json: bool, hint: str = "") -> None:
    made = add_rule(state, rule, utc_now())
    if hint:
        print_line(screen, hint)
    if as_json:
        print_json(console, {"rule": Kept(rule=made).as_json()})
        return
    print_line(console, f"Rule {made.id} is in force: {made.text()}")


def _line(kept: Kept) -> str:
    rule = kept.rule
    made = "" if rule.made_at is None else f"{rule.made_at:%Y-%m-%d %H:%M} UTC"
    parts = [f"{rule.id}: {rule.text()}", f"Made by {rule.made_by}, {made}."]
    if rule.reason:
        parts.append(f"Reason: {rule.reason}")
    if kept.removed_at is not None:
        parts.append(
            f"Removed by {kept.removed_by}, {kept.removed_at:%Y-%m-%d %H:%M} UTC."
        )
        if kept.removed_because:
            parts.append(f"Reason: {kept.removed_because}")
    return " ".join(parts)


def _hint(kind: Kind, name: str, state: AgentState) -> str:
    """Return a warning where no agreement here knows a name; a rule may come first."""
    policies = tuple(policies_of(state).policies())
    known = sorted({word for each in policies for word in _known(kind, each)})
    if kind not in _NAMED or plain(name) in set(map(plain, known)):
        return ""
    return (
        f"Warning: no agreement in force here knows the {_NAMED[kind]} {name!r}, so the"
        f" rule refuses nothing until one does.{suggestion(name, known)}"
    )


def _known(kind: Kind, policy: Policy) -> Iterable[str]:
    form = policy.agreement.form
    return {
        Kind.VETO_DIMENSION: policy.model.dimensions,
        Kind.VETO_PURPOSE: [
            *form.purpose,
            *([form.emergency.purpose] if form.emergency else []),
        ],
        Kind.VETO_ORGANISATION: form.recipients.organisations,
        Kind.VETO_AGREEMENT: [policy.name],
        Kind.VETO_MEASURE: form.may_ask.measures,
    }.get(kind, [])


def _word(text: str) -> str:
    word = " ".join(text.split())
    if not word or not word.isprintable() or len(word) > _LONGEST_TEXT:
        raise InvalidQuery(
            "RULE_INVALID",
            f"What a rule refuses is named in 1 to {_LONGEST_TEXT} printable "
            "characters.",
        )
    return word


def _short(reason: str) -> str:
    return " ".join(reason.split())[:_LONGEST_TEXT]


def _epsilon(text: str) -> Fraction:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or not Decimal("1e-6") <= value <= _LARGEST_EPSILON:
        raise InvalidQuery(
            "EPSILON_INVALID",
            f"A cap is an epsilon from 0.000001 to {_LARGEST_EPSILON}, such as 0.5. To "
            "share nothing at all: `accord-agent stop-sharing`.",
        )
    return Fraction(value)
