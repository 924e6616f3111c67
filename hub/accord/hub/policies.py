# SPDX-License-Identifier: Apache-2.0
"""The policies in force, as one snapshot that never changes.

What boards signed is verified elsewhere (`accord.hub.governance.standing`); here it is
read. Whoever works with policies takes one snapshot and keeps it until the work is
done.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Final

from accord.core.agreement import Agreement
from accord.core.document import DocumentError, plain_document
from accord.core.errors import ConfigurationError, NotFound, suggestion
from accord.core.lint import errors, lint
from accord.core.members import MembersForm
from accord.core.model import DataModel
from accord.core.policy import (
    AGREEMENTS,
    EMERGENCIES,
    Policy,
    PolicySet,
    load_policy_set,
)

_TARGETS: Final = "targets/"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """Everything that boards decided, checked against each other."""

    version: int
    """Of the signed list of policies; goes up with every publication."""
    documents: PolicySet
    by_name: Mapping[str, Policy]
    """Each agreement with everything that its meaning depends on."""

    @property
    def agreements(self) -> Mapping[str, Agreement]:
        """The agreements by name."""
        return self.documents.agreements

    @property
    def models(self) -> Mapping[str, DataModel]:
        """The data models by name."""
        return self.documents.models

    @property
    def members(self) -> MembersForm:
        """The agencies of the network."""
        return self.documents.members

    def policy(self, name: str) -> Policy:
        """Return the agreement called *name* with what it depends on.

        Raises:
            NotFound: AGREEMENT_UNKNOWN.
        """
        found = self.by_name.get(name)
        if found is None:
            raise agreement_unknown(name, ())
        return found

    def agreement(self, name: str) -> Agreement:
        """Return the agreement called *name*.

        Raises:
            NotFound: AGREEMENT_UNKNOWN.
        """
        return self.policy(name).agreement

    def model_of(self, agreement: Agreement) -> DataModel:
        """Return the data model that an agreement names."""
        return self.models[agreement.form.data_model]

    def still(self, name: str, digest: str) -> Policy | None:
        """Return an agreement if it, and all that it depends on, is still the same."""
        found = self.by_name.get(name)
        return found if found is not None and found.digest == digest else None


def agreement_unknown(name: str, visible: object) -> NotFound:
    """Return the same error for what does not exist and what is not for the caller."""
    return NotFound(
        "AGREEMENT_UNKNOWN",
        f"There is no agreement {name!r} that you may ask under."
        + suggestion(name, visible),
        agreement=name,
    )


def policies_of(documents: Mapping[str, bytes], version: int) -> Policies:
    """Read and check documents.

    Raises:
        DocumentError: with every problem of the document that has any.
        ConfigurationError: DOCUMENT_INVALID, the same for several documents;
            POLICIES_MISSING without members.
    """
    found = load_policy_set(documents)
    return Policies(
        version=version,
        documents=found,
        by_name={policy.name: policy for policy in found.policies()},
    )


def check_whole(policies: Policies) -> None:
    """Refuse what the documents must not say together, as the board's own tool does.

    Agencies see their own agreements only, so nobody else can look across all.

    Raises:
        ConfigurationError: DOCUMENT_INVALID, with every finding.
    """
    found = errors(lint(policies.documents.documents))
    if found:
        raise ConfigurationError("DOCUMENT_INVALID", "\n".join(map(str, found)))


def parties_of(name: str, files: Mapping[str, bytes]) -> frozenset[str] | None:
    """Return the agencies that a signed file is for; nothing where it is for all.

    An agreement, of whatever version, is for the parties that it names itself; the
    declaration of an emergency for those of any version of its agreement.
    """
    path = name.removeprefix(_TARGETS)
    if path == name:
        return None
    kind, _, file = path.partition("/")
    if kind == AGREEMENTS:
        return _named(files[name])
    if kind != EMERGENCIES:
        return None
    declared = file.partition(".")[2]
    return frozenset[str]().union(
        *(
            _named(content)
            for other, content in files.items()
            if other.startswith(f"{_TARGETS}{AGREEMENTS}/")
            and other.rpartition("/")[2].partition(".")[2] == declared
        )
    )


@functools.lru_cache(maxsize=1024)
def _named(content: bytes) -> frozenset[str]:
    """Return the parties that an agreement names; nobody where it cannot be read."""
    try:
        parties = plain_document(content.decode(), AGREEMENTS).get("parties")
    except (DocumentError, UnicodeDecodeError):
        return frozenset()
    return frozenset(map(str, parties)) if isinstance(parties, list) else frozenset()
