# SPDX-License-Identifier: Apache-2.0
"""Everything that is wrong with a set of policies, in one go.

Programs that obey policies stop at the first thing that they cannot believe
(`accord.core.policy.load_policy_set`). A board that writes them wants to see every
mistake of every file at once, and what is no mistake but should be thought about.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from accord.core.agreement import Agreement
from accord.core.agreement_checks import contradictions, related
from accord.core.agreement_form import AgreementForm
from accord.core.board import (
    BoardForm,
    DeclarationForm,
    board_contradictions,
)
from accord.core.canonical import bytes_digest
from accord.core.document import (
    DocumentError,
    Problem,
    plain_document,
    problem_at,
)
from accord.core.errors import suggestion
from accord.core.lint_across import Severity, Standing, across
from accord.core.members import MembersForm, member_contradictions
from accord.core.messages import sentence
from accord.core.model import DataModel, DataModelForm, build_model
from accord.core.policy import (
    AGREEMENTS,
    BOARD,
    EMERGENCIES,
    MEMBERS,
    MODELS,
    PRESETS,
    clashes,
    is_policy_path,
    text_of,
)
from accord.core.preset import PRESET_SECTIONS, Preset, PresetForm
from accord.core.preset_checks import loosenings_of
from accord.core.salvage import Salvaged, salvage
from accord.core.stand_ins import STAND_INS

_ENTRY: Final = {
    MODELS: "data_model",
    PRESETS: "preset",
    AGREEMENTS: "agreement",
    EMERGENCIES: "emergency",
}
"""By folder: the entry that says the name of the file."""

_OWN_WORDS: Final = (
    (AGREEMENTS, re.compile(r"valid\.review_by"), "lint.review-missing"),
    (MEMBERS, re.compile(r"members\.[^.]+\.lifetime"), "lint.lifetime-missing"),
    (MEMBERS, re.compile(r"members\.[^.]+\.lifetime\.\w+"), "lint.lifetime-missing"),
)
"""Missing entries that deserve more than "is missing"."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """One thing to change or to think about."""

    path: str
    """Of the document."""
    line: int
    column: int
    entry: str
    """Dotted; empty for the whole document."""
    sentence: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        """Return ``path:line:column: entry: sentence``."""
        where = f"{self.entry}: " if self.entry else ""
        return f"{self.path}:{self.line}:{self.column}: {where}{self.sentence}"


def lint(documents: Mapping[str, bytes]) -> tuple[Finding, ...]:
    """Return everything that is wrong with *documents*, sorted by place.

    Args:
        documents: their exact bytes by target path, as for `load_policy_set`.
    """
    return tuple(sorted(set(_Linting(documents).findings())))


def errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return those findings for which programs refuse the policies."""
    return tuple(each for each in findings if each.severity is Severity.ERROR)


class _Linting:
    """One run; what earlier kinds of documents gave is there for later ones."""

    def __init__(self, documents: Mapping[str, bytes]) -> None:
        self._documents = documents
        self._texts: dict[str, str] = {}
        self._models: dict[str, DataModel | None] = {}
        """Nothing for a model that is there and broken."""
        self._read_as: dict[str, _Document] = {}
        self._presets: dict[str, Preset | None] = {}

    def findings(self) -> Iterator[Finding]:
        """Yield every finding, document by document."""
        yield from self._read()
        board = self._whole(BOARD, BoardForm)
        members = self._whole(MEMBERS, MembersForm)
        yield from self._about_registers(board, members)
        yield from self._load_models()
        yield from self._load_presets()
        agreements: dict[str, Agreement] = {}
        for path in self._under(AGREEMENTS):
            read = self._document(path, AgreementForm, self._beneath(path))
            yield from self._about_agreement(read, members, board)
            if read.form is not None and not read.breaks("parties", "cohorts"):
                agreements[path] = self._agreement(read)
        declarations: dict[str, DeclarationForm] = {}
        for path in self._under(EMERGENCIES):
            declared = self._document(path, DeclarationForm, None)
            yield from declared.found
            if declared.form is not None:
                declarations[path] = declared.form
        standing = Standing(
            members=members.form,
            has_board=BOARD in self._documents,
            models=self._models,
            agreements=agreements,
            declarations=declarations,
        )
        for located, entry, wrong, severity in across(standing):
            yield from self._at(self._read_as[located], entry, wrong, severity)

    def _read(self) -> Iterator[Finding]:
        for path, content in self._documents.items():
            if not is_policy_path(path):
                wrong = sentence("lint.no-policy")
                yield _finding(path, _at_top(wrong), Severity.ERROR)
                continue
            try:
                self._texts[path] = text_of(content, path)
            except DocumentError as error:
                yield from (_finding(path, each) for each in error.problems)
        if MEMBERS not in self._documents:
            wrong = sentence("lint.members-missing")
            yield _finding(MEMBERS, _at_top(wrong), Severity.ERROR)

    def _under(self, folder: str) -> list[str]:
        return [path for path in sorted(self._texts) if path.startswith(f"{folder}/")]

    def _whole(self, path: str, form: type[Any]) -> _Document:
        if path not in self._texts:
            return _Document(path=path, read=Salvaged(form=None))
        return self._document(path, form, None)

    def _about_registers(
        self, board: _Document, members: _Document
    ) -> Iterator[Finding]:
        yield from board.found
        if board.form is not None:
            for below, wrong in board_contradictions(board.form):
                if below[0] == "members" or "members" not in board.broken:
                    yield from self._at(board, below, wrong)
        yield from members.found
        if members.form is not None:
            for entry, wrong in member_contradictions(members.form):
                yield from self._at(members, entry, wrong)

    def _document(
        self, path: str, form: type[Any], beneath: Mapping[str, object] | None
    ) -> _Document:
        text = self._texts[path]
        read = salvage(
            text, form, source=path, stand_in=STAND_INS[form], beneath=beneath
        )
        found = [_finding(path, _worded(path, each)) for each in read.problems]
        folder = path.partition("/")[0]
        entry = _ENTRY.get(folder)
        stem = path.partition("/")[2].removesuffix(".yaml")
        named = read.content.get(entry) if entry else None
        if entry and isinstance(named, str) and named != stem:
            wrong = sentence("lint.file-name", stem=stem)
            found.append(_finding(path, problem_at(text, (entry,), wrong)))
        document = _Document(path=path, read=read, found=tuple(found))
        self._read_as[path] = document
        return document

    def _at(
        self,
        read: _Document,
        entry: Sequence[str | int],
        wrong: str,
        severity: Severity = Severity.ERROR,
    ) -> Iterator[Finding]:
        """Yield a finding, unless its entry is broken anyway."""
        place = read.read.place(entry)
        if not place or not read.breaks(".".join(map(str, place))):
            placed = problem_at(self._texts[read.path], place, wrong)
            yield _finding(read.path, placed, severity)

    def _load_models(self) -> Iterator[Finding]:
        for path in self._under(MODELS):
            read = self._document(path, DataModelForm, None)
            yield from read.found
            stem = path.partition("/")[2].removesuffix(".yaml")
            self._models[stem] = None
            if read.form is None:
                continue
            digest = bytes_digest(self._texts[path].encode())
            model, wrong = build_model(read.form, digest)
            for entry, text in wrong:
                if entry != ("edition_dimension",) or not read.breaks("dimensions"):
                    yield from self._at(read, entry, text)
            if not read.found and not wrong:
                self._models[stem] = model

    def _load_presets(self) -> Iterator[Finding]:
        for path in self._under(PRESETS):
            read = self._document(path, PresetForm, None)
            yield from read.found
            stem = path.partition("/")[2].removesuffix(".yaml")
            text = self._texts[path]
            good = read.form is not None and not read.found
            self._presets[stem] = (
                Preset(form=read.form, digest=bytes_digest(text.encode()), text=text)
                if good
                else None
            )

    def _extended(self, path: str) -> str | None:
        try:
            named = plain_document(self._texts[path], path).get("extends")
        except DocumentError:
            return None
        return named if isinstance(named, str) else None

    def _beneath(self, path: str) -> Mapping[str, object] | None:
        preset = self._presets.get(self._extended(path) or "")
        return preset.entries() if preset else None

    def _agreement(self, read: _Document) -> Agreement:
        text, form = self._texts[read.path], read.form
        preset = self._presets.get(form.extends or "")
        digest = bytes_digest(text.encode())
        return Agreement(form=form, digest=digest, text=text, preset=preset)

    def _about_agreement(
        self, read: _Document, members: _Document, board: _Document
    ) -> Iterator[Finding]:
        extended = self._extended(read.path)
        preset = self._presets.get(extended or "")
        if extended is None or preset is not None:
            yield from read.found
        else:
            # What the preset would have filled in is not missing.
            for each in read.found:
                section = each.entry.partition(".")[0]
                if section not in PRESET_SECTIONS or not _missing(each.sentence):
                    yield each
        form: AgreementForm | None = read.form
        if form is None:
            return
        if extended and extended not in self._presets:
            hint = suggestion(extended, self._presets) or sentence(
                "lint.known", names=", ".join(sorted(self._presets)) or "none"
            )
            wrong = sentence("lint.preset-missing") + hint
            yield from self._at(read, ("extends",), wrong)
        models = {name: each for name, each in self._models.items() if each}
        broken = set(read.broken)
        if form.data_model in self._models and form.data_model not in models:
            broken.add("data_model")
        for entry, text in contradictions(form, models, broken):
            yield from self._at(read, entry, text)
        if preset is not None:
            for entry, text in loosenings_of(preset.form, form, models):
                yield from self._at(read, entry, text)
        yield from self._clashes(read, members, board)

    def _clashes(
        self, read: _Document, members: _Document, board: _Document
    ) -> Iterator[Finding]:
        """Yield names that nobody has; not those of entries that are broken there."""
        listed = members.read.content.get("members")
        seats = board.read.content.get("seats")
        people = board.read.content.get("members")
        known = {
            str(name)
            for each in (listed, seats, people)
            for name in (each if isinstance(each, Mapping) else ())
        }
        if members.form is None:
            return
        agreement = self._agreement(read)
        for problem in clashes(agreement, members.form, board.form):
            entry = [int(p) if p.isdigit() else p for p in problem.path.split(".")]
            value: Any = read.form
            for part in entry:
                value = value[part] if isinstance(part, int) else getattr(value, part)
            if value not in known:
                yield from self._at(read, entry, problem.sentence)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """What was read of one document, and what is wrong with its form."""

    path: str
    read: Salvaged[Any]
    found: tuple[Finding, ...] = ()

    @property
    def form(self) -> Any:  # noqa: ANN401 - one of six forms
        return self.read.form

    @property
    def broken(self) -> frozenset[str]:
        return self.read.broken

    def breaks(self, *entries: str) -> bool:
        """Tell whether one of *entries*, or what is in or around it, is broken."""
        return any(related(one, each) for one in entries for each in self.broken)


def _worded(path: str, problem: Problem) -> Problem:
    if not _missing(problem.sentence):
        return problem
    for kind, pattern, message in _OWN_WORDS:
        if path.startswith(kind) and pattern.fullmatch(problem.path):
            return dataclasses.replace(problem, sentence=sentence(message))
    return problem


def _missing(text: str) -> bool:
    return re.fullmatch(r"the entry '.*' is missing here\.", text) is not None


def _finding(
    path: str, problem: Problem, severity: Severity = Severity.ERROR
) -> Finding:
    return Finding(
        path=path,
        line=problem.line,
        column=problem.column,
        entry=problem.path,
        sentence=problem.sentence,
        severity=severity,
    )


def _at_top(text: str) -> Problem:
    return Problem(line=1, column=1, path="", sentence=text)
