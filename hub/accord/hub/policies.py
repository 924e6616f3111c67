# SPDX-License-Identifier: Apache-2.0
"""The policies in force: agreements, data models and members, as files of the state.

Read once, completely, when the hub starts; every problem of every file is reported
together. A name is also the name of its file (``agreements/NAME.yaml``), so that an
agency finds the model that an agreement names. Signatures come in here later: what is
loaded is then what boards signed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeVar

from accord.core.agreement import Agreement, load_agreement
from accord.core.canonical import bytes_digest
from accord.core.document import DocumentError, Problem, problem_at
from accord.core.errors import ConfigurationError, NotFound, suggestion
from accord.core.members import MembersForm, load_members
from accord.core.model import DataModel, load_model

MEMBERS: Final = "members.yaml"

_LARGEST: Final = 1_000_000
"""Bytes of one document; what is sent to agents stays far below a message's limit."""

Loaded = TypeVar("Loaded")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PolicyName:
    """A document as agents are told of it."""

    path: str
    digest: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """Everything that boards decided, checked against each other."""

    agreements: Mapping[str, Agreement]
    models: Mapping[str, DataModel]
    members: MembersForm
    documents: Mapping[str, bytes]
    """The exact bytes by path."""

    def agreement(self, name: str) -> Agreement:
        """Return the agreement called *name*.

        Raises:
            NotFound: AGREEMENT_UNKNOWN.
        """
        found = self.agreements.get(name)
        if found is None:
            raise agreement_unknown(name, ())
        return found

    def model_of(self, agreement: Agreement) -> DataModel:
        """Return the data model that an agreement names."""
        return self.models[agreement.form.data_model]

    def of_party(self, agency: str) -> list[PolicyName]:
        """Return the documents that concern an agency, in the order to read them.

        Data models first, then the agreements that it is a party to.
        """
        own = [
            agreement
            for _, agreement in sorted(self.agreements.items())
            if agency in agreement.parties
        ]
        models = {agreement.form.data_model for agreement in own}
        paths = [
            *(f"models/{model}.yaml" for model in sorted(models)),
            *(f"agreements/{agreement.name}.yaml" for agreement in own),
        ]
        return [
            PolicyName(path=path, digest=bytes_digest(self.documents[path]))
            for path in paths
        ]

    def document_for(self, agency: str, path: str) -> bytes:
        """Return a document that concerns an agency.

        Raises:
            NotFound: POLICY_UNKNOWN, also for agreements of others.
        """
        if path != MEMBERS and path not in {
            name.path for name in self.of_party(agency)
        }:
            raise NotFound(
                "POLICY_UNKNOWN", "There is no policy of that name for this agency."
            )
        return self.documents[path]


def agreement_unknown(name: str, visible: object) -> NotFound:
    """Return the same error for what does not exist and what is not for the caller."""
    return NotFound(
        "AGREEMENT_UNKNOWN",
        f"There is no agreement {name!r} that you may ask under."
        + suggestion(name, visible),
        agreement=name,
    )


def load_policies(folder: Path) -> Policies:
    """Read and check all policies.

    Raises:
        DocumentError: with every problem of the first kind of file that has any:
            models, members, then agreements.
        ConfigurationError: POLICIES_MISSING, a file or folder that cannot be read.
    """
    documents: dict[str, bytes] = {}
    models = _load_all(folder, "models", documents, load_model)
    members_text = _text(folder / MEMBERS, MEMBERS, documents)
    members = load_members(members_text, MEMBERS)

    def load(text: str, source: str) -> Agreement:
        agreement = load_agreement(text, source, models)
        problems = list(_clashes(agreement, members))
        if problems:
            raise DocumentError(source, problems)
        return agreement

    agreements = _load_all(folder, "agreements", documents, load)
    return Policies(
        agreements=agreements, models=models, members=members, documents=documents
    )


def _clashes(agreement: Agreement, members: MembersForm) -> Iterator[Problem]:
    for index, party in enumerate(agreement.parties):
        if party not in members.members:
            yield problem_at(
                agreement.text,
                ("parties", index),
                f"{party!r} is not in {MEMBERS}.{suggestion(party, members.members)}",
            )
    if agreement.form.protect.noise != "hub":
        yield problem_at(
            agreement.text,
            ("protect", "noise"),
            "this version of the hub can only add the noise itself: say `noise: hub`"
            " and `hub_sees_exact_pooled_sums: accepted`, or wait for the next one.",
        )


def _load_all(
    folder: Path,
    kind: str,
    documents: dict[str, bytes],
    load: Callable[[str, str], Loaded],
) -> dict[str, Loaded]:
    """Read every YAML file of one kind, under the name of its file."""
    found: dict[str, Loaded] = {}
    errors: list[DocumentError] = []
    place = folder / kind
    if not place.is_dir():
        raise _missing(f"{kind}/", "there is no such folder")
    for path in sorted(place.glob("*.yaml")):
        source = f"{kind}/{path.name}"
        try:
            text = _text(path, source, documents)
            loaded = load(text, source)
            _require_name(path.stem, loaded, text, source)
        except DocumentError as error:
            errors.append(error)
        else:
            found[path.stem] = loaded
    if errors:
        raise _together(errors)
    return found


def _require_name(stem: str, loaded: object, text: str, source: str) -> None:
    entry = "agreement" if isinstance(loaded, Agreement) else "data_model"
    name = getattr(loaded, "name", stem)
    if name != stem:
        sentence = f"the file is called {stem}.yaml; both names must be the same."
        raise DocumentError(source, [problem_at(text, (entry,), sentence)])


def _together(errors: list[DocumentError]) -> ConfigurationError:
    if len(errors) == 1:
        return errors[0]
    return ConfigurationError("DOCUMENT_INVALID", "\n".join(map(str, errors)))


def _text(path: Path, source: str, documents: dict[str, bytes]) -> str:
    try:
        content = path.read_bytes()
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise _missing(source, "it is not UTF-8") from None
    except OSError as error:
        raise _missing(source, error.strerror or "it cannot be read") from None
    if len(content) > _LARGEST:
        raise _missing(source, f"it is longer than {_LARGEST} bytes")
    documents[source] = content
    return text


def _missing(source: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        "POLICIES_MISSING", f"The policy {source} cannot be read: {why}."
    )
