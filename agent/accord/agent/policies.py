# SPDX-License-Identifier: Apache-2.0
"""The board's signed policies as this agency believes them.

`accord.trust` verifies and keeps them; this adds what concerns one agency. The key that
must have signed a requisition is the one that the board lists for the hub, and an
agency that the board does not list, or lists with another key, answers nothing.
"""

from __future__ import annotations

import datetime
import importlib.resources
from collections.abc import Iterator
from pathlib import Path

from accord.agent.network.identity import IdentityFiles
from accord.agent.state import AgentState
from accord.core.agreement import Agreement
from accord.core.document import DocumentError, Problem
from accord.core.errors import (
    AccordError,
    ConfigurationError,
    PolicyDenied,
    PreconditionFailed,
)
from accord.core.members import MemberForm, exchange_text, kem_text
from accord.core.messages import sentence
from accord.core.model import DataModel, load_model
from accord.core.policy import MODELS, Policy
from accord.secagg.keys import PublicKeys
from accord.trust.keys import public_text, raw_public
from accord.trust.trusted import Fetch, Trusted, View

KNOWN_TROUBLE = frozenset(
    {
        "AGENCY_KEY_DIFFERS",
        "AGENCY_NOT_LISTED",
        "ALREADY_OPENED",
        "COHORT_CHANGED",
        "EQUIVOCATION",
        "INCOMPLETE_COHORT",
        "LOG_FORKED",
        "POLICIES_MISSING",
        "POLICY_DIFFERS",
        "POLICY_EXPIRED",
        "POLICY_MALFORMED",
        "POLICY_MIXED",
        "POLICY_ROLLBACK",
        "POLICY_SEAT_MISSING",
        "POLICY_SIGNATURES_MISSING",
        "POLICY_VERSION_REUSED",
        "READY_INVALID",
        "RECEIPTS_INVALID",
        "SIGNATURE_INVALID",
    }
)
"""Reasons that have a sentence of their own in the catalogue."""


def trouble_text(reason: str, language: str = "en") -> str:
    """Return what a trust failure means and what to do about it."""
    known = reason if reason in KNOWN_TROUBLE else "other"
    return sentence(f"trouble.{known}", language, reason=reason)


class AgencyPolicies:
    """The signed policies of one agency; one instance belongs to one thread."""

    def __init__(self, state: AgentState, agency: str | None) -> None:
        """Read nothing yet.

        Args:
            state: where they lie.
            agency: label of this agency; none as long as it has joined no hub.
        """
        self._trusted = Trusted(state.policies, agency)
        self._agency = agency
        self._view: View | None = None

    @property
    def label(self) -> str:
        """Label of this agency; empty as long as it has joined no hub."""
        return self._agency or ""

    def view(self) -> View | None:
        """Return what was accepted last, in force or not."""
        if self._view is None:
            self._view = self._trusted.view()
        return self._view

    def refresh(self, fetch: Fetch, now: datetime.datetime) -> bool:
        """Ask the hub for newer policies; return whether there were any.

        Raises:
            AccordError: nothing was accepted, and what was accepted before stays.
        """
        before = self.view()
        self._view = self._trusted.refresh(fetch, now)
        return before is None or before.documents != self._view.documents

    def pinned(self) -> bytes | None:
        """Return the root of the board that this agent believes."""
        view = self.view()
        return self._trusted.pinned() if view is None else view.root

    def trouble(self) -> tuple[str, datetime.datetime] | None:
        """Return why the newest offer of the hub was not believed, and when."""
        return self._trusted.trouble()

    def policy(self, name: str) -> Policy | None:
        """Return the agreement called *name* with all that it depends on."""
        view = self.view()
        return None if view is None else view.policies.policy(name)

    def policies(self) -> Iterator[Policy]:
        """Yield every agreement that this agency holds."""
        view = self.view()
        if view is not None:
            yield from view.policies.policies()

    def agreements(self) -> Iterator[tuple[Agreement, DataModel]]:
        """Yield every agreement that this agency holds, with its data model."""
        for policy in self.policies():
            yield policy.agreement, policy.model

    def hub_key(self) -> bytes | None:
        """Return the key with which the hub must sign requisitions, 32 bytes."""
        view = self.view()
        hub = None if view is None else view.policies.members.hub
        return None if hub is None else raw_public(hub.key)

    def require_trust(self, own: PublicKeys, now: datetime.datetime) -> View:
        """Return the policies if this agency may answer under them.

        Args:
            own: the agency's public keys. Those that the board lists must be these; it
                need not list the one for ML-KEM.
            now: the time in UTC.

        Raises:
            PreconditionFailed: POLICIES_MISSING.
            PolicyDenied: AGENCY_NOT_LISTED, AGENCY_KEY_DIFFERS, POLICY_EXPIRED, or the
                reason why the newest offer was not believed.
        """
        trouble = self.trouble()
        if trouble is not None:
            raise PolicyDenied(trouble[0], trouble_text(trouble[0]))
        view = self.view()
        if view is None or view.policies.members.hub is None:
            raise PreconditionFailed(
                "POLICIES_MISSING", trouble_text("POLICIES_MISSING")
            )
        if now >= view.fresh_until:
            raise PolicyDenied("POLICY_EXPIRED", trouble_text("POLICY_EXPIRED"))
        member = view.policies.members.members.get(self._agency or "")
        if member is None or member.key is None:
            raise PolicyDenied("AGENCY_NOT_LISTED", trouble_text("AGENCY_NOT_LISTED"))
        if not _lists(member, own):
            raise PolicyDenied("AGENCY_KEY_DIFFERS", trouble_text("AGENCY_KEY_DIFFERS"))
        return view


def _lists(member: MemberForm, own: PublicKeys) -> bool:
    """Tell whether the board lists these keys for an agency, and no others."""
    kem = None if own.kem is None else kem_text(own.kem)
    return (
        member.key == public_text(own.sign)
        and member.exchange == exchange_text(own.exchange)
        and member.kem in (None, kem)
    )


def policies_of(state: AgentState) -> AgencyPolicies:
    """Return the policies of whichever agency *state* belongs to."""
    files = IdentityFiles(state.keys)
    return AgencyPolicies(
        state, files.load().membership.agency if files.enrolled() else None
    )


def distrust(
    state: AgentState, policies: AgencyPolicies, now: datetime.datetime
) -> AccordError | None:
    """Return why the agent would answer nothing at all, if that is so."""
    try:
        policies.require_trust(state.secret_keys(policies.label).public, now)
    except AccordError as error:
        return error
    return None


def model_for_mapping(
    state: AgentState | None, name: str, file: Path | None
) -> DataModel:
    """Return the data model that a mapping names.

    From *file* if given, else as the board signed it, else the sample that is shipped;
    before there is a state, the sample.

    Raises:
        ConfigurationError: MODEL_ABSENT, or the document is not valid.
    """
    if file is not None:
        return load_model(read_document(file), file.name)
    view = None if state is None else policies_of(state).view()
    if view is not None and name in view.policies.models:
        return view.policies.models[name]
    sample = importlib.resources.files("accord.policies") / MODELS / f"{name}.yaml"
    if not sample.is_file():
        raise ConfigurationError(
            "MODEL_ABSENT",
            f"There is no data model {name!r} here yet. `accord-agent run` fetches it "
            "from the hub, or name its file with --model.",
        )
    return load_model(sample.read_text(encoding="utf-8"), f"{name}.yaml")


def read_document(path: Path) -> str:
    """Return the text of a document that somebody named.

    Raises:
        ConfigurationError: DOCUMENT_UNREADABLE or DOCUMENT_INVALID.
    """
    try:
        return _text(path.read_bytes(), path.name)
    except OSError as error:
        raise ConfigurationError(
            "DOCUMENT_UNREADABLE", f"{path} cannot be read: {error.strerror}."
        ) from None


def _text(content: bytes, source: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        sentence = "this line is not UTF-8 text."
        raise DocumentError(
            source, [Problem(line=line, column=1, path="", sentence=sentence)]
        ) from None
