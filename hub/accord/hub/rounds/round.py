# SPDX-License-Identifier: Apache-2.0
"""One question on its way through three rounds, as a state machine.

Events and the time come in; what is wanted of each agency and how it ends come out.
There is no clock here and nothing is sent or stored. Signatures were checked before.

An `Attempt` goes through the stages ready, masked, reveal. Whoever declines, or is
missing when a wait is over, is set aside for the rest of the question, and the largest
cohort that is left begins the next attempt. Each wait lasts half of the time until the
question expires, so the first one ends halfway. Where nobody could answer without those
whose people have to approve it, it is waited again so, until a minute is left.

Invariants:

- In one attempt only one cohort is ever shown to anybody, and it is one that the
  agreement lists.
- Nobody is asked to reveal before the caller has said that the opening is committed
  (`Round.confirm`), and nobody is asked for a later attempt before that one is.
- There is no attempt after an opening: it ends opened or lost.
- It ends, whatever comes in, once the question has expired and a minute has passed.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable

from accord.hub.rounds.attempt import Attempt
from accord.hub.rounds.stages import (
    ERASING,
    FORGETFUL,
    MOST_ATTEMPTS,
    Call,
    Stage,
    Turn,
    Wanted,
    half_of_what_is_left,
    people_decide,
)
from accord.secagg.messages import Erased, Ready, Receipt
from accord.secagg.opening import SEED_WRONG


@dataclasses.dataclass(slots=True, kw_only=True)
class Round:
    """Where a question stands; `begin` makes one."""

    call: Call
    current: Attempt
    refused: dict[str, str] = dataclasses.field(default_factory=dict)
    """Who declined, and why; never asked again."""
    missing: dict[str, Stage] = dataclasses.field(default_factory=dict)
    """Who did not come in time, and when; not asked again either."""
    closing: dt.datetime | None = None
    """Until when erasures count, once it cannot be opened any more."""
    ended: Turn | None = None
    _confirmed: tuple[int, bool] = (1, False)
    """Newest attempt that is committed, and whether its opening is."""
    _stumbled: bool = False
    """Whether hub and agency remember different things of this attempt."""
    _forgot: set[str] = dataclasses.field(default_factory=set)
    """With whom that happened; the second time it is out."""
    asking_people: frozenset[str] = frozenset()
    """Who has said that its people have to approve it, in any attempt."""

    @classmethod
    def begin(cls, call: Call, until: dt.datetime) -> Round:
        """Ask everybody."""
        first = Attempt(call=call, number=1, asked=call.members, until=until)
        return cls(call=call, current=first)

    @classmethod
    def resume(
        cls,
        call: Call,
        stored: Attempt,
        *,
        refused: dict[str, str],
        missing: dict[str, Stage],
        asking_people: frozenset[str],
        now: dt.datetime,
    ) -> Round:
        """Go on with an attempt that was committed.

        A wait that was over while the hub was away begins again.
        """
        if stored.stage is not Stage.REVEAL and stored.until <= now:
            stored.until = half_of_what_is_left(now, call.expires_at)
        found = cls(call=call, current=stored, refused=refused, missing=missing)
        found.asking_people = asking_people
        found.confirm(stored.number, opening=stored.stage is Stage.REVEAL)
        return found

    # What is known

    @property
    def possible(self) -> list[str]:
        """Cohorts of which nobody was set aside, the largest first."""
        out = self.refused.keys() | self.missing.keys()
        return [
            cohort
            for cohort, members in self.call.cohorts.items()
            if out.isdisjoint(members)
        ]

    @property
    def taking_part(self) -> list[str]:
        """Members of the chosen cohort; before, all who are asked and not out."""
        members = self.current.members
        if self.current.cohort is not None:
            return list(members)
        out = self.refused.keys() | self.missing.keys()
        return [agency for agency in members if agency not in out]

    @property
    def answered(self) -> list[str]:
        """Who has said what the present stage asks for."""
        done = self.current.done
        return [agency for agency in self.taking_part if agency in done]

    @property
    def awaited(self) -> list[str]:
        """Who has said nothing yet in the present stage."""
        done = self.current.done
        return [
            agency
            for agency in self.taking_part
            if agency not in done and agency not in self.refused
        ]

    @property
    def approving(self) -> list[str]:
        """Of those awaited: whose people have to approve the question first."""
        found = self.awaited if self.current.stage is Stage.READY else []
        return [agency for agency in found if agency in self.asking_people]

    @property
    def is_confirmed(self) -> bool:
        """Whether everything that must be committed before it is sent, is."""
        attempt, opening = self._confirmed
        return attempt == self.current.number and (
            opening or self.current.stage is not Stage.REVEAL
        )

    def wanted(self, agency: str) -> Wanted | None:
        """Return what an agency is to be sent now, or again when it connects."""
        current = self.current
        if (
            self.ended is not None
            or not self.is_confirmed
            or agency not in self.taking_part
        ):
            return None
        if self.closing is not None:
            return None if agency in current.erased else Wanted.SETTLED
        if agency in current.done or agency in self.refused:
            return None
        match current.stage:
            case Stage.READY:
                return Wanted.REQUISITION
            case Stage.MASKED:
                return Wanted.COHORT
            case Stage.REVEAL:
                return Wanted.RECEIPTS

    # What comes in

    def take_ready(self, ready: Ready, lacking: Iterable[str] = ()) -> bool:
        """Take a checked ready; tell whether it is new.

        Raises:
            IntegrityError: READY_COPIED.
        """
        return self.counts(ready.agency, ready.attempt) and self.current.take_ready(
            ready, lacking
        )

    def take_masked(
        self, receipt: Receipt, attempt: int, size: int, content: bytes
    ) -> bytes | None:
        """Take a checked receipt with the first part of a vector; return it if whole.

        Raises:
            IntegrityError: VECTOR_WRONG.
        """
        if not self.counts(receipt.agency, attempt):
            return None
        return self.current.take_masked(receipt, size, content)

    def take_part(
        self, agency: str, attempt: int, offset: int, content: bytes
    ) -> bytes | None:
        """Take a further part of a vector; return the vector once it is whole.

        Raises:
            IntegrityError: VECTOR_WRONG.
        """
        if not self.counts(agency, attempt):
            return None
        return self.current.take_part(agency, offset, content)

    def take_seed(self, agency: str, attempt: int, seed: bytes) -> bool:
        """Take a revealed seed; tell whether it is new.

        Raises:
            IntegrityError: SEED_WRONG.
        """
        return (
            self.is_confirmed
            and self.counts(agency, attempt)
            and self.current.take_seed(agency, seed)
        )

    def take_erased(self, erased: Erased) -> bool:
        """Take a checked word that a seed is gone; tell whether it is new."""
        return (
            erased.attempt == self.current.number
            and erased.agency in self.taking_part
            and self.current.take_erased(erased)
        )

    def counts(self, agency: str, attempt: int) -> bool:
        """Tell whether what an agency says of an attempt can still matter."""
        return (
            self.ended is None
            and attempt == self.current.number
            and agency in self.taking_part
            and agency not in self.refused
        )

    def refuse(self, agency: str, attempt: int, reason: str) -> bool:
        """Note that an agency declines in this attempt; tell whether that is new.

        What another attempt can cure is a reason to begin one, but only once.
        """
        current = self.current
        if not self.counts(agency, attempt) or agency in current.seeds:
            return False
        if (
            reason in FORGETFUL
            and current.stage is not Stage.REVEAL
            and agency not in self._forgot
        ):
            self._forgot.add(agency)
            self._stumbled = True
        else:
            self.refused[agency] = reason
        return True

    def await_approval(self, agency: str, attempt: int) -> bool:
        """Note that an agency's people have to approve it; tell whether that is new."""
        if not self.counts(agency, attempt) or agency in self.asking_people:
            return False
        self.asking_people |= {agency}
        return agency in self.awaited

    def forget(self, agency: str) -> None:
        """Take back what an agency said that was thrown out.

        It may come back while agencies get ready. Later its key is part of what all
        others were shown; after an opening the release is checked once more.
        """
        match self.current.stage:
            case Stage.READY:
                self.current.readies.pop(agency, None)
            case Stage.MASKED if agency in self.taking_part:
                self.set_aside([agency])
            case _:
                pass

    def set_aside(self, agencies: Iterable[str]) -> None:
        """Go on without some agencies; not after an opening was confirmed."""
        self._miss(agencies)
        if not self.is_confirmed and self.current.stage is Stage.REVEAL:
            self.current.stage = Stage.MASKED
            self.closing = None

    def abandon(self, now: dt.datetime) -> None:
        """Ask for erasures instead of seeds, if it was going to be opened."""
        if self.current.stage is Stage.REVEAL and self.closing is None:
            self.closing = max(self.call.expires_at, now + ERASING)

    def confirm(self, attempt: int, *, opening: bool) -> None:
        """Say that an attempt, and perhaps its opening, is committed."""
        self._confirmed = max(self._confirmed, (attempt, opening))

    # What follows

    def advance(self, now: dt.datetime) -> list[Turn]:
        """Do whatever is due, until nothing is; return what that was, in order."""
        turns: list[Turn] = []
        while self.ended is None:
            turn = self._turn(now)
            if turn is None:
                break
            turns.append(turn)
        return turns

    def _turn(self, now: dt.datetime) -> Turn | None:
        match self.current.stage:
            case Stage.READY:
                return self._while_ready(now)
            case Stage.MASKED:
                return self._while_masked(now)
            case Stage.REVEAL:
                return self._while_revealing(now)

    def _while_ready(self, now: dt.datetime) -> Turn | None:
        current, cohorts, possible = self.current, self.call.cohorts, self.possible
        if (
            self._stumbled
            or not possible
            or not set(cohorts[possible[0]]) <= set(current.asked)
        ):
            return self._next(now)
        late = now >= current.until
        for cohort in possible if late else possible[:1]:
            if current.readies.keys() >= set(cohorts[cohort]):
                current.cohort = cohort
                current.stage = Stage.MASKED
                current.until = half_of_what_is_left(now, self.call.expires_at)
                return Turn.CHOSEN
        if late and people_decide(
            self.call, possible, self.awaited, self.approving, now
        ):
            current.until = half_of_what_is_left(now, self.call.expires_at)
            return None
        return self._next(now, self.awaited) if late else None

    def _while_masked(self, now: dt.datetime) -> Turn | None:
        current = self.current
        if self._stumbled or current.cohort not in self.possible:
            return self._next(now)
        if now >= self.call.expires_at:
            return self._next(now, self._late())
        if not self.awaited:
            current.stage = Stage.REVEAL
            current.until = self.call.expires_at
            return Turn.OPENING
        return self._next(now, self._late()) if now >= current.until else None

    def _while_revealing(self, now: dt.datetime) -> Turn | None:
        current = self.current
        if current.seeds.keys() >= set(current.members):
            return self._end(Turn.OPENED)
        if self.closing is None:
            spoilt = not self.refused.keys().isdisjoint(current.members)
            if spoilt or current.erased or now >= self.call.expires_at:
                self.abandon(now)
                return Turn.CLOSING
            return None
        if current.all_erased or self._never_all_erased or now >= self.closing:
            return self._end(Turn.LOST)
        return None

    @property
    def _never_all_erased(self) -> bool:
        """Whether nothing is left to wait for: somebody has a seed to erase no more.

        A seed that is out can never be taken back, and who revealed a wrong one says
        no more that the right one is gone.
        """
        current = self.current
        wrong = {a for a, why in self.refused.items() if why == SEED_WRONG}
        return bool(current.seeds) or not wrong.isdisjoint(current.members)

    def _next(self, now: dt.datetime, missing: Iterable[str] = ()) -> Turn:
        """Begin the next attempt without those who are out; or end."""
        self._miss(missing)
        self._stumbled = False
        possible, number = self.possible, self.current.number
        if not possible or number == MOST_ATTEMPTS or now >= self.call.expires_at:
            return self._end(Turn.LOST)
        self.current = Attempt(
            call=self.call,
            number=number + 1,
            asked=self.call.cohorts[possible[0]],
            until=half_of_what_is_left(now, self.call.expires_at),
        )
        return Turn.AGAIN

    def _late(self) -> set[str]:
        """Return who is to blame that masked vectors are missing.

        An agency that was not shown the cohort could not answer: those are, whose
        encapsulations for it the hub never got.
        """
        late: set[str] = set()
        for agency in self.awaited:
            late |= self.current.held_back.get(agency, {agency})
        return late

    def _miss(self, agencies: Iterable[str]) -> None:
        for agency in agencies:
            self.missing.setdefault(agency, self.current.stage)

    def _end(self, how: Turn) -> Turn:
        self.ended = how
        return how
