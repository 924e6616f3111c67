# SPDX-License-Identifier: Apache-2.0
"""Everything that boards decided, as one consistent set of documents.

The hub holds all of it; an agency holds what concerns it. Paths are those of the
signed targets: ``board.yaml``, ``members.yaml``, ``models/NAME.yaml``,
``presets/NAME.yaml``, ``agreements/NAME.yaml`` and ``emergencies/NAME.yaml``.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeVar

from accord.core.agreement import Agreement, load_agreement
from accord.core.board import (
    BoardForm,
    DeclarationForm,
    load_board,
    load_declaration,
)
from accord.core.canonical import bytes_digest, digest
from accord.core.document import DocumentError, Problem, problem_at
from accord.core.errors import ConfigurationError, suggestion
from accord.core.members import MembersForm, load_members
from accord.core.model import DataModel, load_model
from accord.core.preset import Preset, load_preset

BOARD: Final = "board.yaml"
MEMBERS: Final = "members.yaml"
MODELS: Final = "models"
PRESETS: Final = "presets"
AGREEMENTS: Final = "agreements"
EMERGENCIES: Final = "emergencies"

LARGEST: Final = 1_000_000
"""Bytes of one document; what is sent stays far below a message's limit."""

_PATH: Final = re.compile(
    r"board\.yaml|members\.yaml|"
    r"(?:models|presets|agreements|emergencies)/[a-z0-9][a-z0-9_-]{0,62}\.yaml"
)

Loaded = TypeVar("Loaded")

# Documents change rarely: an agency reads them once, not at each refresh.
_load_board = functools.lru_cache(maxsize=16)(load_board)
_load_members = functools.lru_cache(maxsize=16)(load_members)
_load_model = functools.lru_cache(maxsize=64)(load_model)
_load_preset = functools.lru_cache(maxsize=64)(load_preset)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Background:
    """What agreements are read with; equal if the texts of all of it are."""

    models: Mapping[str, DataModel]
    presets: Mapping[str, Preset]

    def _texts(self) -> tuple[frozenset[tuple[str, str]], ...]:
        return (
            frozenset((name, each.digest) for name, each in self.models.items()),
            frozenset((name, each.digest) for name, each in self.presets.items()),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Background) and self._texts() == other._texts()

    def __hash__(self) -> int:
        return hash(self._texts())


@functools.lru_cache(maxsize=256)
def _load_agreement(text: str, source: str, background: _Background) -> Agreement:
    return load_agreement(text, source, background.models, background.presets)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One agreement with everything that its meaning depends on."""

    agreement: Agreement
    model: DataModel
    members: MembersForm
    emergency: DeclarationForm | None = None
    """As declared; whether it is on depends on the day."""
    digest: str = ""
    """Over the digests of all documents that it is made of; what a requisition names,
    so that agencies to whom a hub shows different ones notice."""

    @property
    def name(self) -> str:
        """Name of the agreement."""
        return self.agreement.name


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PolicySet:
    """All documents, each checked by itself and against the others."""

    documents: Mapping[str, bytes]
    """The exact bytes by path."""
    board: BoardForm | None
    members: MembersForm
    models: Mapping[str, DataModel]
    presets: Mapping[str, Preset]
    agreements: Mapping[str, Agreement]
    emergencies: Mapping[str, DeclarationForm]

    def policy(self, name: str) -> Policy | None:
        """Return the agreement called *name* with what it depends on."""
        agreement = self.agreements.get(name)
        if agreement is None:
            return None
        paths = [
            MEMBERS,
            f"{MODELS}/{agreement.form.data_model}.yaml",
            f"{AGREEMENTS}/{name}.yaml",
        ]
        if agreement.preset is not None:
            paths.append(f"{PRESETS}/{agreement.preset.name}.yaml")
        if name in self.emergencies:
            paths.append(f"{EMERGENCIES}/{name}.yaml")
        named = {path: bytes_digest(self.documents[path]) for path in paths}
        return Policy(
            agreement=agreement,
            model=self.models[agreement.form.data_model],
            members=self.members,
            emergency=self.emergencies.get(name),
            digest=digest(named),
        )

    def policies(self) -> Iterator[Policy]:
        """Yield every agreement with what it depends on, by name."""
        for name in sorted(self.agreements):
            found = self.policy(name)
            if found is not None:
                yield found


def is_policy_path(path: str) -> bool:
    """Tell whether a document of that path can be part of a set."""
    return _PATH.fullmatch(path) is not None


def load_policy_set(documents: Mapping[str, bytes]) -> PolicySet:
    """Read and check all documents.

    Raises:
        DocumentError: with every problem of the first kind of document that has any,
            if one document has them.
        ConfigurationError: DOCUMENT_INVALID, the same for several documents;
            POLICIES_MISSING without members.
    """
    foreign = sorted(path for path in documents if not is_policy_path(path))
    if foreign:
        raise ConfigurationError(
            "DOCUMENT_INVALID",
            f"{foreign[0][:100]!r} is no policy: they are called {BOARD}, {MEMBERS},"
            " models/…, presets/…, agreements/… and emergencies/….yaml.",
        )
    if MEMBERS not in documents:
        raise ConfigurationError(
            "POLICIES_MISSING", f"{MEMBERS} is missing: no agency is known without it."
        )
    board = (
        load_board(text_of(documents[BOARD], BOARD), BOARD)
        if BOARD in documents
        else None
    )
    members = load_members(text_of(documents[MEMBERS], MEMBERS), MEMBERS)
    models = _load_all(documents, MODELS, _load_model, ("data_model",), _name)
    presets = _load_all(documents, PRESETS, _load_preset, ("preset",), _name)

    background = _Background(models=models, presets=presets)

    def load(text: str, source: str) -> Agreement:
        agreement = _load_agreement(text, source, background)
        problems = list(clashes(agreement, members, board))
        if problems:
            raise DocumentError(source, problems)
        return agreement

    return PolicySet(
        documents=dict(documents),
        board=board,
        members=members,
        models=models,
        presets=presets,
        agreements=_load_all(documents, AGREEMENTS, load, ("agreement",), _name),
        emergencies=_load_all(
            documents,
            EMERGENCIES,
            load_declaration,
            ("emergency",),
            lambda form: form.emergency,
        ),
    )


def _name(loaded: DataModel | Preset | Agreement) -> str:
    return loaded.name


def clashes(
    agreement: Agreement, members: MembersForm, board: BoardForm | None
) -> Iterator[Problem]:
    """Yield what an agreement says of people that nobody knows."""
    for index, party in enumerate(agreement.parties):
        if party not in members.members:
            yield problem_at(
                agreement.text,
                ("parties", index),
                f"{party!r} is not in {MEMBERS}.{suggestion(party, members.members)}",
            )
    if board is None:
        return
    for index, seat in enumerate(agreement.form.approval.loosening_needs):
        if seat not in board.seats:
            yield problem_at(
                agreement.text,
                ("approval", "loosening_needs", index),
                f"there is no seat {seat!r} in {BOARD}."
                + suggestion(seat, board.seats),
            )
    emergency = agreement.form.emergency
    for index, label in enumerate(emergency.approvers if emergency else ()):
        if label not in board.members:
            yield problem_at(
                agreement.text,
                ("emergency", "approvers", index),
                f"{label!r} is not on the board.{suggestion(label, board.members)}",
            )


def _load_all(
    documents: Mapping[str, bytes],
    folder: str,
    load: Callable[[str, str], Loaded],
    entry: tuple[str, ...],
    name_of: Callable[[Loaded], str],
) -> dict[str, Loaded]:
    """Read every document of one folder, under the name of its file."""
    found: dict[str, Loaded] = {}
    errors: list[DocumentError] = []
    for path in sorted(documents):
        if not path.startswith(f"{folder}/"):
            continue
        stem = path.removeprefix(f"{folder}/").removesuffix(".yaml")
        try:
            text = text_of(documents[path], path)
            loaded = load(text, path)
            if name_of(loaded) != stem:
                sentence = (
                    f"the file is called {stem}.yaml; both names must be the same."
                )
                raise DocumentError(path, [problem_at(text, entry, sentence)])
        except DocumentError as error:
            errors.append(error)
        else:
            found[stem] = loaded
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ConfigurationError("DOCUMENT_INVALID", "\n".join(map(str, errors)))
    return found


def text_of(content: bytes, source: str) -> str:
    """Return the text of a document.

    Raises:
        DocumentError: it is too long, or not UTF-8.
    """
    if len(content) > LARGEST:
        problem = _at_top(f"the document is longer than {LARGEST} bytes.")
        raise DocumentError(source, [problem])
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        problem = dataclasses.replace(
            _at_top("this line is not UTF-8 text."), line=line
        )
        raise DocumentError(source, [problem]) from None


def _at_top(sentence: str) -> Problem:
    return Problem(line=1, column=1, path="", sentence=sentence)
