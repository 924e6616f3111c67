# SPDX-License-Identifier: Apache-2.0
"""Every error that Accord shows to somebody, as one family.

A *reason* is the contract: stable, upper case, documented in ``docs/ref-errors.md``.
The sentence may change; it names the thing, the place and the way out, and never
holds a value that came from a record. ``metadata`` has short public facts (names,
limits, amounts of budget) and travels with the reason in ``google.rpc.ErrorInfo``.

::

    AccordError
    ├── InvalidQuery          INVALID_ARGUMENT      exit 2
    ├── Unauthenticated       UNAUTHENTICATED       exit 4
    ├── PolicyDenied          PERMISSION_DENIED     exit 4
    ├── BudgetExhausted       RESOURCE_EXHAUSTED    exit 5
    ├── PreconditionFailed    FAILED_PRECONDITION   exit 4
    ├── RequisitionRefused    FAILED_PRECONDITION   exit 4
    ├── Conflict              ALREADY_EXISTS        exit 4
    ├── NotFound              NOT_FOUND             exit 2
    ├── Unreachable           UNAVAILABLE           exit 6
    ├── DeadlineExceeded      DEADLINE_EXCEEDED     exit 6
    ├── IntegrityError        DATA_LOSS             exit 70
    ├── InternalError         INTERNAL              exit 70
    ├── ConfigurationError    FAILED_PRECONDITION   exit 3
    └── SourceError           FAILED_PRECONDITION   exit 3
"""

from __future__ import annotations

from typing import ClassVar


class AccordError(Exception):
    """Base of all errors that are part of the product."""

    code: ClassVar[str] = "INTERNAL"
    """Name of the gRPC status that carries this error."""

    exit_code: ClassVar[int] = 70
    """Exit status of a command that ends with this error."""

    def __init__(self, reason: str, sentence: str, **metadata: str) -> None:
        """Keep the parts apart; the text of the exception is the sentence."""
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence
        self.metadata = metadata


class InvalidQuery(AccordError):
    """What was asked is malformed; asking otherwise helps."""

    code = "INVALID_ARGUMENT"
    exit_code = 2


class Unauthenticated(AccordError):
    """Nobody we know, or somebody whose credential has ended."""

    code = "UNAUTHENTICATED"
    exit_code = 4


class PolicyDenied(AccordError):
    """The signed agreement, or a local rule, does not allow it."""

    code = "PERMISSION_DENIED"
    exit_code = 4


class BudgetExhausted(AccordError):
    """An account cannot pay; never retried by a program."""

    code = "RESOURCE_EXHAUSTED"
    exit_code = 5


class PreconditionFailed(AccordError):
    """The world is not in the state that this needs."""

    code = "FAILED_PRECONDITION"
    exit_code = 4


class RequisitionRefused(AccordError):
    """An agency declined, with a reason from the closed list."""

    code = "FAILED_PRECONDITION"
    exit_code = 4


class Conflict(AccordError):
    """The same id was used before for something else."""

    code = "ALREADY_EXISTS"
    exit_code = 4


class NotFound(AccordError):
    """It does not exist, or the caller may not know that it does."""

    code = "NOT_FOUND"
    exit_code = 2


class Unreachable(AccordError):
    """The other side could not be reached; trying later may help."""

    code = "UNAVAILABLE"
    exit_code = 6


class DeadlineExceeded(AccordError):
    """The answer did not come in time; the work may still go on."""

    code = "DEADLINE_EXCEEDED"
    exit_code = 6


class IntegrityError(AccordError):
    """Stored or received state contradicts itself; somebody must look."""

    code = "DATA_LOSS"
    exit_code = 70


class InternalError(AccordError):
    """Our mistake, not the caller's."""

    code = "INTERNAL"
    exit_code = 70


class ConfigurationError(AccordError):
    """A file or setting on this machine is missing or wrong."""

    code = "FAILED_PRECONDITION"
    exit_code = 3


class SourceError(AccordError):
    """A source of records cannot be read as the mapping says."""

    code = "FAILED_PRECONDITION"
    exit_code = 3


def suggestion(word: str, known: object) -> str:
    """Return `` did you mean 'x'?`` for a near miss among *known* names, or nothing."""
    import difflib
    from collections.abc import Iterable

    names = [str(name) for name in known] if isinstance(known, Iterable) else []
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
