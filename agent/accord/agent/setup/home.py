# SPDX-License-Identifier: Apache-2.0
"""What one run of the page has in its hands: the state, and how far its staff has come.

A file that was sent lies in a private folder that is gone when the page is closed.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import secrets
import threading
from pathlib import Path

from accord.agent.drafting.draft import Draft, Kind, Question
from accord.agent.drafting.origins import Origin
from accord.agent.drafting.writing import written
from accord.agent.intake.parts import parts_of
from accord.agent.intake.report import Report
from accord.agent.joining import Wishes, draft_of, mapping_place, typed_path
from accord.agent.mapping_file import mapping_from
from accord.agent.network.identity import IdentityFiles, Membership
from accord.agent.page.frame import AgentHome, agent_frame
from accord.agent.state import AgentState, disk_trouble
from accord.agent.store.durable import made_folder, write_new, write_over
from accord.core.errors import PreconditionFailed
from accord.rpc.loopback.visit import Frame, Upload

STEPS = ("source", "columns", "codes", "check", "keys", "enrol")
"""In the order in which they are taken; the last two need no source."""

DONE = ("stored", "joined")

MOST_UPLOADED = 64 << 20
"""Bytes of a file that is sent; a larger one is named by its path."""

_MOST_FIELDS = 2500
_LONGEST_NAME = 120


@functools.cache
def _frame() -> Frame:
    return agent_frame(
        "setup", "accord.agent.setup", done=DONE, most_fields=_MOST_FIELDS
    )


@dataclasses.dataclass(slots=True)
class Progress:
    """How far one source has come."""

    id: str = dataclasses.field(default_factory=lambda: secrets.token_hex(8))
    """Tells forms about this source from those that were shown before it."""
    sources: list[Path] = dataclasses.field(default_factory=list)
    shown_as: str = ""
    """Name of the file as its sender called it."""
    draft: Draft | None = None
    columns_seen: bool = False
    report: Report | None = None
    before: Path | None = None
    """Where an earlier mapping of the same name is kept."""


def _own_name(sent: str) -> str:
    """Return the name of a file, which tells its format, without any way elsewhere."""
    name = re.sub(r"[^\w .()-]", "_", re.split(r"[/\\]", sent)[-1])[-_LONGEST_NAME:]
    return "case-files.csv" if not name.strip(". ") else name


def _kept(file: Path, content: bytes) -> Path:
    """Keep what a file held, beside what was kept of it on earlier days.

    Raises:
        OSError: the disk is full.
    """
    kept, number = file.with_name(f"{file.name}.before"), 1
    while kept.exists():
        if kept.read_bytes() == content:
            return kept
        number += 1
        kept = file.with_name(f"{file.name}.before-{number}")
    write_new(kept, content)
    return kept


class SetupHome(AgentHome):
    """One run."""

    def __init__(self, state: AgentState, private: Path) -> None:
        """Begin with nothing.

        Args:
            state: of the agent, which has its keys already.
            private: folder that is gone after this run.
        """
        super().__init__(_frame())
        self.state = state
        self.turn = threading.Lock()
        """One form at a time: they all work on one draft."""
        self.progress = Progress()
        self._private = private
        self._written: bytes | None = None
        """The mapping as this run wrote it last; only what others wrote is kept."""

    def membership(self) -> Membership | None:
        """Return which hub this agent has joined, if any."""
        files = IdentityFiles(self.state.keys)
        return files.load().membership if files.enrolled() else None

    def has_store(self) -> bool:
        """Tell whether anything was ingested."""
        return bool(parts_of(self.state.current))

    def reached(self) -> dict[str, bool]:
        """Return which steps are over."""
        progress = self.progress
        draft = progress.draft
        stored = self.has_store()
        answered = draft is not None and progress.columns_seen
        return {
            "source": draft is not None or stored,
            "columns": answered or stored,
            "codes": (answered and not self.open_codes()) or stored,
            "check": stored,
            "keys": self.membership() is not None,
            "enrol": self.membership() is not None,
        }

    def take_path(self, text: str) -> None:
        """Draft a mapping of a file on this machine.

        Raises:
            SourceError: it cannot be read, or nothing in it fits the data model.
        """
        path = typed_path(text)
        self._take(path, path.name)

    def take_upload(self, upload: Upload) -> None:
        """Keep a file privately, and draft its mapping.

        Raises:
            SourceError: it cannot be read, or nothing in it fits the data model.
            PreconditionFailed: the disk is full.
        """
        folder = self._private / "sent"
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / _own_name(upload.name)
        try:
            path.write_bytes(upload.content)
        except OSError as error:
            raise disk_trouble(error, self.state) from error
        self._take(path, path.name)

    def _take(self, path: Path, name: str) -> None:
        draft = draft_of(self.state, Origin((path,)), Wishes())
        self.progress = Progress(sources=[path], shown_as=name, draft=draft)

    def draft(self) -> Draft:
        """Return the draft.

        Raises:
            PreconditionFailed: SETUP_NO_SOURCE.
        """
        if self.progress.draft is None:
            raise PreconditionFailed(
                "SETUP_NO_SOURCE", "Choose the export of your case files first."
            )
        return self.progress.draft

    def open_codes(self) -> list[Question]:
        """Return the codes that have no place."""
        draft = self.progress.draft
        found = () if draft is None else draft.questions()
        return [question for question in found if question.kind is Kind.CODE]

    def write(self) -> Path:
        """Write the mapping as it stands; an earlier one is kept beside it.

        Raises:
            PreconditionFailed: the disk is full.
        """
        file = mapping_place(self.state, Origin(tuple(self.progress.sources)))
        text = written(self.draft())
        try:
            made_folder(file.parent)
            there = file.read_bytes() if file.exists() else text.encode()
            if there not in (text.encode(), self._written):
                self.progress.before = _kept(file, there)
            write_over(file, text.encode())
            self._written = text.encode()
        except OSError as error:
            raise disk_trouble(error, self.state) from error
        return file

    def check(self) -> Report:
        """Look at what the mapping makes of the source.

        Raises:
            DocumentError: a question is open.
            SourceError: the source cannot be read.
        """
        from accord.agent.intake.ingest import check

        file = self.write()
        mapping = mapping_from(self.state, file, None)
        limits = self.state.settings().ingest
        report = check(self.state, mapping, self.progress.sources, limits)
        self.progress.report = report
        return report

    def store(self) -> None:
        """Ingest the source.

        Raises:
            SourceError: nothing of it can be stored.
            Conflict: STORE_BUSY.
            PreconditionFailed: the disk is full.
        """
        from accord.agent.answer import utc_now
        from accord.agent.intake.ingest import ingest

        file = self.write()
        mapping = mapping_from(self.state, file, None)
        limits = self.state.settings().ingest
        ingest(self.state, mapping, self.progress.sources, limits, utc_now())
