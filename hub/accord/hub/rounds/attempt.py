# SPDX-License-Identifier: Apache-2.0
"""One attempt of a round: who is asked, which cohort was chosen, what came in.

It shows one cohort to everybody, once. The first of two contradicting messages counts.
Signatures were checked before; here a message is compared with what it must fit.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Collection, Iterable

from accord.core.errors import IntegrityError
from accord.hub.rounds.stages import Call, Stage
from accord.hub.rounds.vectors import Assembly
from accord.secagg.messages import Erased, Ready, Receipt, transcript
from accord.secagg.opening import check_seed, check_vector


@dataclasses.dataclass(slots=True, kw_only=True)
class Attempt:
    """Everything that another attempt begins anew."""

    call: Call
    number: int
    asked: tuple[str, ...]
    until: dt.datetime
    """When the present wait is over."""
    stage: Stage = Stage.READY
    cohort: str | None = None
    """Chosen once its members are ready."""
    readies: dict[str, Ready] = dataclasses.field(default_factory=dict)
    lacking: dict[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    """Whose encapsulations each agency has not got."""
    held_back: dict[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    """Who is not shown the cohort yet, and whose encapsulations for it are missing."""
    receipts: dict[str, Receipt] = dataclasses.field(default_factory=dict)
    whole: set[str] = dataclasses.field(default_factory=set)
    """Whose masked vector is here from beginning to end."""
    seeds: dict[str, bytes] = dataclasses.field(default_factory=dict, repr=False)
    erased: dict[str, Erased] = dataclasses.field(default_factory=dict)
    _growing: dict[str, Assembly] = dataclasses.field(default_factory=dict)
    _transcript: bytes | None = None

    @property
    def members(self) -> tuple[str, ...]:
        """Those of the chosen cohort, else everybody who is asked."""
        return self.asked if self.cohort is None else self.call.cohorts[self.cohort]

    @property
    def done(self) -> Collection[str]:
        """Who has said what the present stage asks for."""
        match self.stage:
            case Stage.READY:
                return self.readies.keys()
            case Stage.MASKED:
                return self.whole
            case Stage.REVEAL:
                return self.seeds.keys()

    @property
    def all_erased(self) -> bool:
        """Whether every member has signed that this attempt can never be opened."""
        return self.cohort is not None and self.erased.keys() >= set(self.members)

    @property
    def transcript(self) -> bytes:
        """What every member of the chosen cohort was shown."""
        if self._transcript is None:
            if self.cohort is None:
                message = "no cohort is chosen while agencies get ready"
                raise RuntimeError(message)
            self._transcript = transcript(
                self.call.spec_digest,
                self.number,
                self.cohort,
                self.call.noise[self.cohort],
                self.cohort_readies(),
            )
        return self._transcript

    def cohort_readies(self) -> list[Ready]:
        """Return the readies of the chosen cohort, in the order of labels."""
        return [self.readies[agency] for agency in sorted(self.members)]

    def cohort_receipts(self) -> list[Receipt]:
        """Return its receipts, in the same order."""
        return [self.receipts[agency] for agency in sorted(self.members)]

    def take_ready(self, ready: Ready, lacking: Iterable[str]) -> bool:
        """Take a checked ready; tell whether it is new.

        Raises:
            IntegrityError: READY_COPIED, it has the fresh key of another one.
        """
        if self.stage is not Stage.READY or ready.agency in self.readies:
            return False
        if any(ready.ephemeral_key == e.ephemeral_key for e in self.readies.values()):
            raise IntegrityError(
                "READY_COPIED", "An agency has sent the fresh key of another one."
            )
        self.readies[ready.agency] = ready
        self.lacking[ready.agency] = frozenset(lacking)
        return True

    def hold_back(self, agency: str, senders: frozenset[str]) -> None:
        """Note whose encapsulations keep an agency from the cohort, if any do."""
        if senders:
            self.held_back[agency] = senders
        else:
            self.held_back.pop(agency, None)

    def lacks_vector(self, agency: str) -> bool:
        """Tell whether a masked vector, or a part of one, is of use."""
        return self.stage is Stage.MASKED and agency not in self.whole

    def take_masked(self, receipt: Receipt, size: int, content: bytes) -> bytes | None:
        """Take a checked receipt with the first part of its vector.

        Returns:
            The vector once it is whole.

        Raises:
            IntegrityError: VECTOR_WRONG, as `take_part`.
        """
        agency = receipt.agency
        if not self.lacks_vector(agency):
            return None
        if size != self.call.size:
            raise IntegrityError(
                "VECTOR_WRONG", "A masked vector has another length than the layout."
            )
        if self.receipts.setdefault(agency, receipt) != receipt:
            return None
        self._growing.setdefault(agency, Assembly(size))
        return self.take_part(agency, 0, content)

    def take_part(self, agency: str, offset: int, content: bytes) -> bytes | None:
        """Take a part of a vector whose receipt is here.

        Returns:
            The vector once it is whole.

        Raises:
            IntegrityError: VECTOR_WRONG, it is not what its receipt promised.
        """
        growing = self._growing.get(agency)
        if growing is None or not self.lacks_vector(agency):
            return None
        growing.put(offset, content)
        if not growing.is_whole:
            return None
        found = growing.content()
        check_vector(self.receipts[agency], found)
        self.whole.add(agency)
        del self._growing[agency]
        return found

    def take_seed(self, agency: str, seed: bytes) -> bool:
        """Take a revealed seed; tell whether it is new.

        Raises:
            IntegrityError: SEED_WRONG, it is not the one that was promised.
        """
        if self.stage is not Stage.REVEAL or agency in self.seeds:
            return False
        check_seed(self.receipts[agency], seed)
        self.seeds[agency] = seed
        return True

    def take_erased(self, erased: Erased) -> bool:
        """Take a checked word that an opening is impossible; tell whether it is new.

        Before an opening it says nothing that the attempt's end does not.
        """
        if self.stage is not Stage.REVEAL or erased.agency in self.erased:
            return False
        self.erased[erased.agency] = erased
        return True
