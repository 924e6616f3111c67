# SPDX-License-Identifier: Apache-2.0
"""``accord policy explain`` and ``simulate``: what an agreement means."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from accord.client.cli.options import (
    AsJson,
    By,
    HubOption,
    ProfileOption,
    Where,
    console,
    notices,
    print_json,
)
from accord.client.policy.drafts import policy_in
from accord.client.policy.hub_access import asked_queries
from accord.client.policy.query_log import LARGEST, from_message, read_log, write_log
from accord.core.calendar import edition_due
from accord.core.decide import Analyst, Ask
from accord.core.epsilon_delta import exact_epsilon
from accord.core.errors import ConfigurationError, InvalidQuery
from accord.core.explain import (
    Passage,
    QueryExplanation,
    explain_agreement,
    explain_query,
)
from accord.core.messages import sentence
from accord.core.policy import Policy
from accord.core.privacy import Loss
from accord.core.query import canonical_query
from accord.core.simulate import AskedQuery, Simulation, outcome_line
from accord.core.simulate import simulate as simulated

_QUARTER = 92
"""Days."""


def explain(
    file: Annotated[Path, typer.Argument(help="An agreement.")],
    *,
    measure: Annotated[
        str | None, typer.Option("--measure", "-m", help="Explain a question instead.")
    ] = None,
    by: By = None,
    where: Where = None,
    purpose: Annotated[
        str | None, typer.Option("--purpose", "-p", help="Else the first one allowed.")
    ] = None,
    role: Annotated[
        list[str] | None, typer.Option("--role", help="Else the first one allowed.")
    ] = None,
    organisation: Annotated[
        str | None, typer.Option("--organisation", help="Else the first one allowed.")
    ] = None,
    epsilon: Annotated[
        float | None, typer.Option("--epsilon", "-e", help="Else ±15 is priced.")
    ] = None,
    on: Annotated[
        str, typer.Option("--on", help="Day of the question; today if not given.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Say in plain sentences what an agreement means, or what it says to a question."""
    policy, policies = policy_in(file)
    named = (measure, by, where, purpose, role, organisation, epsilon)
    if all(each is None for each in named):
        passages = explain_agreement(policy, policies.board)
        _print_agreement(policy, passages, as_json=as_json)
        return
    ask = _ask(
        policy,
        measure=measure or "persons",
        by=by or [],
        where=where or [],
        analyst=Analyst(
            id="somebody",
            organisation=organisation
            or policy.agreement.form.recipients.organisations[0],
            roles=frozenset(role or policy.agreement.form.recipients.roles[:1]),
        ),
        purpose=purpose or policy.agreement.form.purpose[0],
        day=_day(on),
    )
    found = explain_query(
        policy, ask, None if epsilon is None else exact_epsilon(epsilon)
    )
    if as_json:
        print_json(_question_as_json(policy, found))
        return
    head, *rest = found.sentences()
    console.print(head, style="bold", soft_wrap=True)
    for line in rest:
        console.print(f"- {line}", soft_wrap=True)


def simulate(
    draft: Annotated[Path, typer.Argument(help="A draft of an agreement.")],
    *,
    log: Annotated[
        Path | None, typer.Option("--log", help="Questions as JSON lines.")
    ] = None,
    in_force: Annotated[
        Path | None,
        typer.Option("--in-force", help="The agreement under which they were asked."),
    ] = None,
    since: Annotated[
        str, typer.Option("--since", help="First day; else 92 days before the last.")
    ] = "",
    until: Annotated[
        str, typer.Option("--until", help="Last day; today if not given.")
    ] = "",
    save: Annotated[
        Path | None, typer.Option("--save", help="Keep the questions as JSON lines.")
    ] = None,
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Tell what last quarter's questions would have got under a draft."""
    policy, _ = policy_in(draft)
    before = None if in_force is None else policy_in(in_force)[0]
    asked = _asked(policy.name, log, hub, profile, since, until)
    if save is not None:
        _save(save, write_log(asked))
    found = simulated(policy, asked, before)
    if as_json:
        print_json(_simulation_as_json(found))
        return
    for line in found.sentences():
        console.print(line, soft_wrap=True)
    changed = [*found.gained(), *found.lost()]
    for outcome in sorted(changed, key=lambda each: each.asked.asked_at):
        console.print(f"- {outcome_line(policy.agreement, outcome)}", soft_wrap=True)


def _print_agreement(
    policy: Policy, passages: tuple[Passage, ...], *, as_json: bool
) -> None:
    if as_json:
        print_json(
            {
                "agreement": policy.name,
                "version": policy.agreement.form.version,
                "passages": [
                    {
                        "section": each.section,
                        "clause": each.clause,
                        "code": each.code,
                        "text": each.text(),
                    }
                    for each in passages
                ],
            }
        )
        return
    section = None
    for each in passages:
        if each.section != section:
            section = each.section
            console.print()
            console.print(each.heading(), style="bold")
        console.print(f"- {each.text()}", soft_wrap=True)


def _ask(
    policy: Policy,
    *,
    measure: str,
    by: list[str],
    where: list[str],
    analyst: Analyst,
    purpose: str,
    day: datetime.date,
) -> Ask:
    editions = policy.agreement.form.editions
    query = canonical_query(
        agreement=policy.name,
        edition=edition_due(editions.every, editions.embargo, day),
        measure=measure,
        group_by=[_group(each) for each in by],
        where=dict(_filter(each) for each in where),
        model=policy.model,
    )
    return Ask(query=query, analyst=analyst, purpose=purpose, day=day)


def _group(text: str) -> tuple[str, str | None]:
    name, _, level = text.partition(":")
    return name, level or None


def _filter(text: str) -> tuple[str, list[str]]:
    name, _, values = text.partition("=")
    if not name or not values:
        raise InvalidQuery(
            "FILTER_MALFORMED",
            "A filter is DIMENSION=VALUE or DIMENSION=VALUE,VALUE, such as "
            "--where exploitation_type=forced_labour.",
        )
    return name, values.split(",")


def _asked(
    agreement: str,
    log: Path | None,
    hub: str | None,
    profile: str | None,
    since: str,
    until: str,
) -> list[AskedQuery]:
    last = _day(until)
    first = _day(since) if since else last - datetime.timedelta(days=_QUARTER)
    begin = datetime.datetime.combine(first, datetime.time(), datetime.UTC)
    end = datetime.datetime.combine(last, datetime.time(), datetime.UTC)
    end += datetime.timedelta(days=1)
    if log is not None:
        found = read_log(_read(log), str(log))
        bounded = bool(since or until)
        return [each for each in found if not bounded or begin <= each.asked_at < end]
    seconds = (int(begin.timestamp()), int(end.timestamp()))
    messages = asked_queries(hub, profile, agreement, *seconds)
    return [from_message(each) for each in messages]


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise ConfigurationError(
            "LOG_UNREADABLE", f"{path} cannot be read: {error.strerror}."
        ) from None
    if len(content) > LARGEST:
        raise ConfigurationError(
            "LOG_UNREADABLE", f"{path} is longer than {LARGEST} bytes; cut it by days."
        )
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ConfigurationError(
            "LOG_UNREADABLE", f"{path} is no UTF-8 text."
        ) from None


def _save(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            "OUTPUT_UNWRITABLE", f"{path} cannot be written: {error.strerror}."
        ) from None
    notices.print(sentence("dossier.written", path=path), soft_wrap=True)


def _day(text: str) -> datetime.date:
    if not text:
        return datetime.datetime.now(datetime.UTC).date()
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise InvalidQuery("DAY_INVALID", "A day is written like 2026-03-01.") from None


def _question_as_json(policy: Policy, found: QueryExplanation) -> dict[str, Any]:
    cost = found.cost
    return {
        "agreement": policy.name,
        "version": policy.agreement.form.version,
        "permitted": found.permitted,
        "needs_review": found.decision.needs_review,
        "reasons": [
            {
                "code": each.reason.code,
                "clause": each.clause,
                "document": each.place.document,
                "line": each.place.line,
                "text": each.reason.text(),
            }
            for each in found.reasons
        ],
        "allowed_by": [
            {"clause": each.clause, "text": each.text()} for each in found.allowed_by
        ],
        "cost": None
        if cost is None
        else {
            "loss": _loss(cost.loss),
            "epsilon": float(cost.epsilon),
            "half_width": float(cost.half_width),
        },
    }


def _simulation_as_json(found: Simulation) -> dict[str, Any]:
    return {
        "agreement": found.agreement,
        "version": found.version,
        "counts": {str(verdict): count for verdict, count in found.counts().items()},
        "outcomes": [
            {
                "asked_at": each.asked.asked_at.isoformat(),
                "analyst": each.asked.analyst.id,
                "permitted_then": each.asked.permitted,
                "verdict": str(each.verdict),
                "reasons": list(each.reasons),
                "loss": _loss(each.loss),
            }
            for each in found.outcomes
        ],
        "accounts": [
            {
                "account": each.account,
                "days": each.days,
                "limit": each.limit,
                "used": each.used,
                "left": each.left,
            }
            for each in found.accounts
        ],
    }


def _loss(loss: Loss) -> dict[str, float]:
    return {"rho": float(loss.rho), "epsilon": float(loss.epsilon)}
