# SPDX-License-Identifier: Apache-2.0
"""What a log of questions would have got under a draft of an agreement.

Every question is decided, priced and paid again in the order in which it was asked, by
the same rules as at the hub: a repeat that is no more accurate is free, sliding windows
refill, lifetime caps do not, an emergency pays from its own budget. What is unknown is
taken at its worst for the budget: all members of the largest cohort that may answer are
charged, and every question that is allowed is answered.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from accord.core.afford import amount, as_loss, cap_of, epsilon_of
from accord.core.agreement import Agreement
from accord.core.calendar import edition_due, is_edition
from accord.core.coverage import covering_cohorts
from accord.core.decide import Analyst, Ask, decide, decide_cost
from accord.core.errors import AccordError, InvalidQuery
from accord.core.explain.passage import rounded_up
from accord.core.messages import sentence
from accord.core.policy import Policy
from accord.core.privacy import Loss
from accord.core.query import Query, canonical_query
from accord.core.simulated_accounts import Account, Remaining, opened
from accord.core.terms import mechanism_for, terms


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AskedQuery:
    """One question as it was asked, with what was decided then; no figure."""

    asked_at: datetime.datetime
    """With its zone."""
    edition: str
    """Empty: the newest one of that day."""
    measure: str
    group_by: tuple[tuple[str, str | None], ...]
    where: tuple[tuple[str, tuple[str, ...]], ...]
    analyst: Analyst
    purpose: str
    epsilon: Fraction
    agreement_version: int
    permitted: bool
    denied_by: tuple[str, ...] = ()
    loss: Loss = dataclasses.field(default_factory=Loss)
    from_archive: bool = False


class Verdict(enum.StrEnum):
    """What a question would get."""

    ANSWERED = "answered"
    FROM_ARCHIVE = "from-archive"
    NEEDS_REVIEW = "needs-review"
    """Allowed, but a person has to look first; nothing is charged before."""
    DENIED = "denied"
    """By a clause."""
    UNPAID = "unpaid"
    """Allowed, but a budget is used up."""
    MALFORMED = "malformed"
    """The draft's data model does not know what it names."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one question got then, and would get under the draft."""

    asked: AskedQuery
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    """Codes: of denying clauses, of an error, or the accounts that cannot pay."""
    sentences: tuple[str, ...] = ()
    """The same for people."""
    loss: Loss = dataclasses.field(default_factory=Loss)
    """What would be charged."""

    @property
    def allowed(self) -> bool:
        """Whether it would get an answer, now or after review."""
        return self.verdict in {
            Verdict.ANSWERED,
            Verdict.FROM_ARCHIVE,
            Verdict.NEEDS_REVIEW,
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """Every question of a log under a draft."""

    agreement: str
    version: int
    outcomes: tuple[Outcome, ...]
    """In order of time."""
    accounts: tuple[Remaining, ...]
    """At the last question, by name; the agreement's first."""

    def counts(self) -> Mapping[Verdict, int]:
        """Return how many questions got each verdict."""
        return {
            verdict: sum(1 for each in self.outcomes if each.verdict is verdict)
            for verdict in Verdict
        }

    def gained(self) -> tuple[Outcome, ...]:
        """Return the questions that were refused and would be allowed."""
        return tuple(o for o in self.outcomes if o.allowed and not o.asked.permitted)

    def lost(self) -> tuple[Outcome, ...]:
        """Return the questions that were allowed and would be refused."""
        return tuple(o for o in self.outcomes if o.asked.permitted and not o.allowed)

    def sentences(self, language: str = "en") -> tuple[str, ...]:
        """Return the whole in sentences, without single questions."""
        counts = self.counts()
        found = [
            sentence(
                "simulate.head",
                language,
                count=len(self.outcomes),
                agreement=self.agreement,
                version=self.version,
            )
        ]
        found.extend(
            sentence(f"simulate.{verdict}", language, count=count)
            for verdict, count in counts.items()
            if count
        )
        for code, outcomes in (("gained", self.gained()), ("lost", self.lost())):
            found.append(sentence(f"simulate.{code}", language, count=len(outcomes)))
        for each in self.accounts:
            kind = "lifetime" if each.days is None else "window"
            found.append(
                sentence(
                    f"simulate.left-{kind}",
                    language,
                    account=each.account,
                    percent=f"{float(each.share_left * 100):.1f}",
                    days=each.days,
                )
            )
        return tuple(found)


def simulate(
    draft: Policy, log: Sequence[AskedQuery], in_force: Policy | None = None
) -> Simulation:
    """Return what every question of *log* would have got under *draft*.

    Accounts start empty and the archive starts without releases: what was asked before
    the log is not known here.

    Args:
        draft: the agreement to try.
        log: what was asked, in any order.
        in_force: the policy under which it was asked. Where the draft changes nothing
            that changes an answer, releases from before the log stay free, too.
    """
    course = _Course(draft, in_force)
    ordered = sorted(log, key=lambda each: each.asked_at)
    outcomes = tuple(course.next(each) for each in ordered)
    end = ordered[-1].asked_at if ordered else None
    return Simulation(
        agreement=draft.name,
        version=draft.agreement.form.version,
        outcomes=outcomes,
        accounts=tuple(course.remaining(end)) if end is not None else (),
    )


class _Course:
    """A draft on its way through a log."""

    def __init__(self, draft: Policy, in_force: Policy | None) -> None:
        self._draft = draft
        self._accounts: dict[str, Account] = {}
        self._archive: dict[tuple[str, str], int] = {}
        digest = draft.agreement.archive_digest(draft.model)
        self._digest = digest
        self._older_stay = in_force is not None and digest == (
            in_force.agreement.archive_digest(in_force.model)
        )
        self._account(f"agreement/{draft.name}")

    def next(self, asked: AskedQuery) -> Outcome:
        """Return what the next question gets, and charge for it."""
        try:
            return self._decided(asked)
        except AccordError as error:
            return Outcome(
                asked=asked,
                verdict=Verdict.MALFORMED,
                reasons=(error.reason,),
                sentences=(error.sentence,),
            )

    def _decided(self, asked: AskedQuery) -> Outcome:
        draft, agreement = self._draft, self._draft.agreement
        day = asked.asked_at.astimezone(datetime.UTC).date()
        query = canonical_query(
            agreement=agreement.name,
            edition=_edition(agreement, asked.edition, day),
            measure=asked.measure,
            group_by=asked.group_by,
            where=dict(asked.where),
            model=draft.model,
        )
        ask = Ask(
            query=query,
            analyst=asked.analyst,
            purpose=asked.purpose,
            day=day,
        )
        decision = decide(draft, ask)
        denied = (*decision.reasons, *decide_cost(agreement, asked.epsilon))
        if denied:
            return Outcome(
                asked=asked,
                verdict=Verdict.DENIED,
                reasons=tuple(each.code for each in denied),
                sentences=tuple(each.text() for each in denied),
            )
        if decision.needs_review:
            return Outcome(asked=asked, verdict=Verdict.NEEDS_REVIEW)
        return self._paid(asked, query)

    def _paid(self, asked: AskedQuery, query: Query) -> Outcome:
        agreement = self._draft.agreement
        found = terms(agreement, self._draft.model, query)
        wanted = cap_of(agreement, asked.epsilon)
        mechanism = mechanism_for(
            agreement, found, as_loss(agreement.accounting, wanted)
        )
        loss = found.loss(mechanism)
        nano = amount(agreement.accounting, loss)
        place = (query.key(), self._digest)
        held = self._archive.get(place)
        older = asked.from_archive and self._older_stay
        if older or (held is not None and held >= nano):
            return Outcome(asked=asked, verdict=Verdict.FROM_ARCHIVE)
        paying = self._paying(asked, query)
        short = [each.name for each in paying if not each.can_pay(nano, asked.asked_at)]
        if short:
            return Outcome(
                asked=asked,
                verdict=Verdict.UNPAID,
                reasons=tuple(short),
                sentences=tuple(
                    sentence("simulate.cannot-pay", account=name) for name in short
                ),
            )
        for each in paying:
            each.spent.append((asked.asked_at, nano))
        self._archive[place] = max(nano, held or 0)
        return Outcome(asked=asked, verdict=Verdict.ANSWERED, loss=loss)

    def _paying(self, asked: AskedQuery, query: Query) -> list[Account]:
        """Return the accounts that pay, as at the hub."""
        name = self._draft.name
        emergency = self._draft.agreement.form.emergency
        if emergency is not None and asked.purpose == emergency.purpose:
            paying = [self._account(f"agreement/{name}/emergency")]
        else:
            paying = [
                self._account(f"agreement/{name}"),
                self._account(f"agreement/{name}/analyst/{asked.analyst.id}"),
            ]
        cohorts = self._draft.agreement.cohorts
        largest = next(iter(covering_cohorts(self._draft, query)), None)
        members = cohorts[largest] if largest is not None else ()
        return [*paying, *(self._account(f"agency/{label}") for label in members)]

    def _account(self, name: str) -> Account:
        found = self._accounts.get(name)
        if found is None:
            found = self._accounts[name] = opened(self._draft, name)
        return found

    def remaining(self, now: datetime.datetime) -> Iterable[Remaining]:
        """Yield what is left of every account that was used."""
        order = sorted(self._accounts, key=lambda name: (name.split("/")[0], name))
        agencies_last = sorted(order, key=lambda name: name.startswith("agency/"))
        for name in agencies_last:
            yield from self._accounts[name].remaining(now)


def _edition(agreement: Agreement, named: str, day: datetime.date) -> str:
    """Return the edition that was asked for; unnamed, the newest by the calendar.

    Raises:
        InvalidQuery: EDITION_INVALID.
    """
    editions = agreement.form.editions
    if not named:
        return edition_due(editions.every, editions.embargo, day)
    if not is_edition(named):
        raise InvalidQuery(
            "EDITION_INVALID",
            "An edition is called by its month, quarter or year: 2026-03, 2026-Q1 "
            "or 2026.",
        )
    return named


def outcome_line(agreement: Agreement, outcome: Outcome, language: str = "en") -> str:
    """Return one question with what it got and would get, in one line."""
    asked = outcome.asked
    parts = [
        name if level is None else f"{name}:{level}" for name, level in asked.group_by
    ]
    nano = amount(agreement.accounting, outcome.loss)
    return sentence(
        "simulate.outcome",
        language,
        day=asked.asked_at.date(),
        analyst=asked.analyst.id,
        question=" ".join(
            [
                asked.measure,
                *parts,
                *(f"{name}={'|'.join(values)}" for name, values in asked.where),
            ]
        ),
        then=sentence(
            "simulate.then-permitted" if asked.permitted else "simulate.then-denied",
            language,
        ),
        now=sentence(
            f"simulate.now-{outcome.verdict}",
            language,
            epsilon=rounded_up(epsilon_of(agreement, nano)),
            reasons=" ".join(outcome.sentences),
        ),
    )
