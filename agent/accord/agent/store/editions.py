# SPDX-License-Identifier: Apache-2.0
"""Editions: numbered, dated snapshots of the store, frozen by the calendar alone.

An edition is a directory of hard links into the build that was current when its day
came, so it costs no space and later ingests cannot touch it; or it lies in a database
of the agency, and the directory says where. It is frozen once: the
agent's database remembers its name for ever, and an edition that was lost is missing
rather than frozen again from other records. Only the newest edition that is due is
frozen; what an agent missed while it was off stays missing. Nothing is ever added to
one; who is forgotten, or whose consent ends, leaves it (`generations`).
"""

from __future__ import annotations

import dataclasses
import datetime
import os
import shutil
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Protocol

import pydantic

from accord.agent.state import AgentState, disk_trouble
from accord.agent.store.columns import Columns
from accord.agent.store.durable import made_folder, sync_directory
from accord.agent.store.generations import (
    edition_folders,
    folder_of,
    partial_folder,
    remove_folder,
    sweep_partial,
)
from accord.agent.store.leaving import Leaving
from accord.agent.store.linking import link_store
from accord.agent.store.rewriting import write_without
from accord.core.agreement import Agreement
from accord.core.calendar import Period, edition_due, is_edition
from accord.core.document import Strict
from accord.core.errors import AccordError, IntegrityError
from accord.core.model import DataModel
from accord.ledger.sqlite import transaction
from accord.rpc.codec import HeldEdition

EDITION = "edition.json"

IN_DATABASE = "database.json"
"""Stands in the place of the store where an edition lies in a database."""

CLOSED = "closed.json"
"""Stands in the place of the store of an edition that is answered from no more."""

_ATTEMPTS = 3
"""An ingest that ends meanwhile removes the build that is being linked."""


class Edition(Strict):
    """What ``edition.json`` says."""

    number: int
    """Counts the periods of its calendar, so the next edition has the next number."""
    name: str
    every: Period
    embargo_days: Annotated[int, pydantic.Field(ge=0)]
    frozen_at: pydantic.AwareDatetime
    data_model: str
    data_model_digest: str

    @property
    def held(self) -> HeldEdition:
        """The edition as the hub is told of it."""
        return HeldEdition(
            every=self.every,
            embargo_days=self.embargo_days,
            name=self.name,
            data_model=self.data_model,
            data_model_digest=self.data_model_digest,
        )

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "number": self.number,
            "name": self.name,
            "every": self.every.value,
            "embargo_days": self.embargo_days,
            "frozen_at": self.frozen_at.isoformat(),
            "data_model": self.data_model,
            "data_model_digest": self.data_model_digest,
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """When editions are frozen, and of which data model."""

    every: Period
    embargo_days: int
    model: DataModel

    @property
    def name(self) -> str:
        """Name of the calendar's directory."""
        return calendar_name(self.every, self.embargo_days)

    def due(self, today: datetime.date) -> str:
        """Return the name of the newest edition that is due."""
        return edition_due(self.every, self.embargo_days, today)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An edition that is due and cannot be frozen yet."""

    calendar: str
    name: str
    reason: str
    sentence: str

    def as_json(self) -> dict[str, str]:
        """Return it for machines."""
        return {
            "calendar": self.calendar,
            "name": self.name,
            "reason": self.reason,
            "text": self.sentence,
        }


class Origin(Protocol):
    """What editions are frozen from."""

    def require(self, calendar: Calendar, name: str) -> None:
        """Raise unless an edition could be frozen now.

        Raises:
            AccordError: with what staff can do about it.
        """

    def freeze(self, calendar: Calendar, name: str, folder: Path) -> None:
        """Make *folder* with what the edition is to answer from.

        Raises:
            OSError: the disk cannot be written.
            AccordError: it cannot be frozen after all.
        """


@dataclasses.dataclass(frozen=True, slots=True)
class StoreOrigin:
    """The current store; editions are links into it, but for cases that leave."""

    state: AgentState
    leaving: Leaving | None = None

    def require(self, calendar: Calendar, name: str) -> None:
        """Raise unless there is a store of the calendar's data model."""
        Columns.open(self.state.current, model_digest=calendar.model.digest).close()

    def freeze(self, calendar: Calendar, name: str, folder: Path) -> None:
        """Link the store's files."""
        for attempt in range(_ATTEMPTS):
            try:
                link_store(self.state.current.resolve(), folder)
                break
            except FileNotFoundError:
                shutil.rmtree(folder, ignore_errors=True)
                if attempt == _ATTEMPTS - 1:
                    raise
        # The links may be of a store that an ingest has replaced since: look again.
        with Columns.open(folder, model_digest=calendar.model.digest) as columns:
            gone = None
            if self.leaving is not None:
                gone = self.leaving.flags(columns, calendar.model)
        if gone is not None:
            left = folder.with_name(f"{folder.name}-left")
            write_without(folder, left, gone)
            shutil.rmtree(folder)
            left.rename(folder)


def calendar_name(every: Period, embargo_days: int) -> str:
    """Return how a calendar is called in paths."""
    return f"{every.value}-{embargo_days}"


def calendars(agreements: Iterable[tuple[Agreement, DataModel]]) -> list[Calendar]:
    """Return the calendars that *agreements* ask for, each once."""
    found: dict[tuple[str, str], Calendar] = {}
    for agreement, model in agreements:
        form = agreement.form.editions
        calendar = Calendar(every=form.every, embargo_days=form.embargo, model=model)
        found.setdefault((calendar.name, model.digest), calendar)
    return list(found.values())


def number_of(every: Period, name: str) -> int:
    """Return the number of an edition: periods since the year 0."""
    year, _, rest = name.partition("-")
    match every:
        case Period.MONTH:
            return int(year) * 12 + int(rest) - 1
        case Period.QUARTER:
            return int(year) * 4 + int(rest.removeprefix("Q")) - 1
        case Period.YEAR:
            return int(year)


def freeze_due(
    state: AgentState,
    due: Iterable[Calendar],
    now: datetime.datetime,
    origin: Origin | None = None,
) -> tuple[list[Edition], list[Waiting]]:
    """Freeze what the calendars ask for today; return that, and what has to wait.

    Args:
        state: where editions lie.
        due: their calendars.
        now: the time in UTC.
        origin: what is frozen; else the store.

    Raises:
        PreconditionFailed: the disk cannot be written.
        AccordError: the origin fails in the middle of it.
    """
    with state.freezing():
        return _freeze_all(state, due, now, origin or StoreOrigin(state))


def _freeze_all(
    state: AgentState,
    due: Iterable[Calendar],
    now: datetime.datetime,
    origin: Origin,
) -> tuple[list[Edition], list[Waiting]]:
    frozen: list[Edition] = []
    waiting: dict[tuple[str, str], Waiting] = {}
    done: set[tuple[str, str]] = set()
    for calendar in due:
        name = calendar.due(now.date())
        place = (calendar.name, name)
        if place in done or _was_frozen(state, calendar.name, name):
            done.add(place)
            continue
        reason = _obstacle(origin, calendar, name)
        if reason is not None:
            waiting[place] = Waiting(
                calendar=calendar.name,
                name=name,
                reason=reason.reason,
                sentence=reason.sentence,
            )
            continue
        try:
            frozen.append(_freeze(state, origin, calendar, name, now))
        except OSError as error:
            raise disk_trouble(error, state) from error
        done.add(place)
    return frozen, [wait for place, wait in waiting.items() if place not in done]


def held_editions(state: AgentState, *, skip_broken: bool = False) -> list[Edition]:
    """Return every complete edition, oldest first.

    Args:
        state: where they lie.
        skip_broken: leave damaged ones out, so that the others can be answered from.

    Raises:
        IntegrityError: EDITION_BROKEN.
    """
    found: list[Edition] = []
    for folder in state.editions.iterdir():
        for entry in edition_folders(folder):
            if (entry / CLOSED).exists():
                continue
            try:
                found.append(edition_in(entry))
            except IntegrityError:
                if not skip_broken:
                    raise
    return sorted(found, key=lambda each: (each.every, each.embargo_days, each.number))


def edition_folder(
    state: AgentState, every: Period, embargo_days: int, name: str
) -> Path | None:
    """Return where an edition lies, if it is held and can be answered from."""
    if not is_edition(name):
        return None
    folder = folder_of(state.editions / calendar_name(every, embargo_days), name)
    held = (folder / EDITION).is_file() and not (folder / CLOSED).exists()
    return folder if held else None


def delete_edition(state: AgentState, folder: Path) -> None:
    """Remove an edition; it is never frozen again. Needs `AgentState.freezing`.

    Raises:
        IntegrityError: EDITION_BROKEN.
        OSError: it cannot be removed.
    """
    with state.ledger() as connection:
        _remember(connection, folder.parent.name, edition_in(folder))
    remove_folder(folder)


def _obstacle(origin: Origin, calendar: Calendar, name: str) -> AccordError | None:
    """Return why an edition cannot be frozen now."""
    try:
        origin.require(calendar, name)
    except IntegrityError:
        raise
    except AccordError as error:
        return error
    return None


def _was_frozen(state: AgentState, calendar: str, name: str) -> bool:
    """Tell whether an edition was ever frozen; heals what a crash left between."""
    with state.ledger() as connection:
        rows = connection.execute(
            "SELECT 1 FROM edition WHERE calendar = ? AND name = ?", (calendar, name)
        ).fetchall()
        if rows:
            return True
        folder = folder_of(state.editions / calendar, name)
        if not folder.is_dir():
            return False
        _remember(connection, calendar, edition_in(folder))
        return True


def _remember(connection: sqlite3.Connection, calendar: str, edition: Edition) -> None:
    with transaction(connection) as tx:
        tx.execute(
            "INSERT INTO edition (calendar, name, frozen_at) VALUES (:calendar, :name, "
            ":at) ON CONFLICT DO NOTHING",
            {
                "calendar": calendar,
                "name": edition.name,
                "at": edition.frozen_at.isoformat(),
            },
        )


def _freeze(
    state: AgentState,
    origin: Origin,
    calendar: Calendar,
    name: str,
    now: datetime.datetime,
) -> Edition:
    home = state.editions / calendar.name
    made_folder(home)
    sweep_partial(home)
    edition = Edition(
        number=number_of(calendar.every, name),
        name=name,
        every=calendar.every,
        embargo_days=calendar.embargo_days,
        frozen_at=now,
        data_model=calendar.model.name,
        data_model_digest=calendar.model.digest,
    )
    partial = partial_folder(home)
    origin.freeze(calendar, name, partial)
    description = partial / EDITION
    with description.open("x", encoding="utf-8") as file:
        file.write(edition.model_dump_json(indent=1))
        file.flush()
        os.fsync(file.fileno())
    description.chmod(0o400)
    sync_directory(partial)
    partial.rename(home / name)
    sync_directory(home)
    with state.ledger() as connection:
        _remember(connection, calendar.name, edition)
    (home / name).chmod(0o500)
    return edition


def edition_in(folder: Path) -> Edition:
    """Return what a folder says of its edition.

    Raises:
        IntegrityError: EDITION_BROKEN.
    """
    try:
        return Edition.model_validate_json((folder / EDITION).read_bytes())
    except (OSError, pydantic.ValidationError):
        raise IntegrityError(
            "EDITION_BROKEN",
            f"The edition {folder.parent.name}/{folder.name} is damaged. Move its "
            "directory away; the agent answers from the others.",
        ) from None
