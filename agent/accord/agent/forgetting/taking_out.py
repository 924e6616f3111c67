# SPDX-License-Identifier: Apache-2.0
"""Persons taken out of the store and of every frozen edition, and the proof of it.

In this order: what is there is written down (``store/forgetting.json``); the persons
come on the list with their cases, so that no ingest takes them in again; the parts and
the build are written anew without them, so that nothing is frozen with them any more;
every edition is, each whole at every moment; all files are looked through again; the
receipt is kept, and the note removed. Whatever ends the program, the note stays until
all of it is done, and the next command that changes the store, or the next start of the
agent, does what is left, by the list.

Whoever calls holds `AgentState.exclusive`.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path

import pydantic

from accord.agent.forgetting.cases import cases_held
from accord.agent.forgetting.listed import (
    Forgotten,
    digests_of,
    note_file,
    put_on_list,
    take_off_list,
)
from accord.agent.forgetting.part import Condition, rewrite_part, without_persons
from accord.agent.forgetting.receipt import Kind, Receipt, Searched, keep_receipt
from accord.agent.forgetting.survey import (
    Held,
    Named,
    Whom,
    cases_of,
    keys_left,
    keys_of,
    ordinals,
    pseudonyms_left,
    searchable,
    survey,
)
from accord.agent.intake.build import replace_parts, sweep_builds
from accord.agent.intake.chain import all_pseudonyms
from accord.agent.intake.parts import PARTS, parts_of
from accord.agent.intake.workspace import workspace
from accord.agent.keys.files import read_secret, replace_secret
from accord.agent.rotation.note import rotation_note
from accord.agent.rotation.rewriting import Rotated, finish_rotation
from accord.agent.rotation.standing import require_keys
from accord.agent.settings import Ingest
from accord.agent.state import AgentState, disk_trouble
from accord.agent.store.columns import Columns
from accord.agent.store.durable import sync_directory
from accord.agent.store.editions import IN_DATABASE
from accord.agent.store.erasing import (
    Flags,
    close_edition,
    erase_from_edition,
    on_each_open_edition,
)
from accord.core.document import Strict
from accord.core.errors import IntegrityError

_ROTATION = "rotation"
"""Folder beside that of a forgetting."""


class Note(Strict):
    """What was there when it was begun."""

    begun_at: str
    persons: int
    digests: tuple[str, ...]
    """As they come on the list."""
    before: tuple[Held, ...]


def forget(
    state: AgentState,
    first: Sequence[bytes],
    limits: Ingest,
    now: datetime.datetime,
) -> Receipt:
    """Take persons out of everything that this machine holds, for good.

    Args:
        state: of the agency.
        first: the first pseudonym of each person.
        limits: of the program that rewrites.
        now: the time in UTC.

    Raises:
        Conflict: STORE_BUSY.
        PreconditionFailed: the disk is full.
        IntegrityError: FORGET_FOUND_AGAIN, something is left; or a part is damaged.
    """
    with state.exclusive(), workspace(state) as folder:
        finish(state, folder / "before", limits, now)
        every = all_pseudonyms(state, first)
        named = Named([each for person in every for each in person])
        cases = cases_held(state, folder / "cases", limits, named)
        note = Note(
            begun_at=now.isoformat(),
            persons=len(first),
            digests=tuple(
                each.hex() for each in digests_of(state, (p[-1] for p in every))
            ),
            before=tuple(survey(state, named)),
        )
        replace_secret(note_file(state), note.model_dump_json().encode())
        put_on_list(state, first, cases)
        return _take_out(state, folder / "out", named, limits, now, note)


def lift(
    state: AgentState,
    first: Sequence[bytes],
    limits: Ingest,
    now: datetime.datetime,
) -> Receipt:
    """Let the next ingest take persons in again; editions stay without them.

    A forgetting that was killed is finished first: it goes by the list, and who was to
    be forgotten with these persons would else stay in the editions.

    Raises:
        Conflict: STORE_BUSY.
    """
    with state.exclusive(), workspace(state) as folder:
        finish(state, folder / "before", limits, now)
        lifted = take_off_list(state, first)
        receipt = Receipt(kind=Kind.LIFTED, at=now.isoformat(), persons=lifted)
        return keep_receipt(state, receipt)


def finish(
    state: AgentState, folder: Path, limits: Ingest, now: datetime.datetime
) -> Rotated | None:
    """Do what a forgetting or a rotation that was killed has left undone, if any.

    Neither begins before the other is finished, so a forgetting that was killed is one
    by the keys that the store has.

    Returns:
        What was left of a rotation.

    Raises:
        IntegrityError: FORGET_NOTE_BROKEN.
        ConfigurationError: KEYS_LOST, what lies here was made with keys that do not.
    """
    require_keys(state)
    _finish_forgetting(state, folder, limits, now)
    return finish_rotation(state, folder.with_name(_ROTATION), limits, now)


def _finish_forgetting(
    state: AgentState, folder: Path, limits: Ingest, now: datetime.datetime
) -> None:
    path = note_file(state)
    if not path.exists():
        return
    note = _note(path)
    listed = Forgotten.of(state)
    named = frozenset(map(bytes.fromhex, note.digests))
    if listed is None or not named <= listed.digests:
        path.unlink()  # it was killed before they were on the list
        return
    whom = Forgotten(listed.key, dict.fromkeys(named, frozenset()))
    _take_out(state, folder, whom, limits, now, note)


def _note(path: Path) -> Note:
    try:
        return Note.model_validate_json(read_secret(path))
    except pydantic.ValidationError:
        raise IntegrityError(
            "FORGET_NOTE_BROKEN",
            f"{path} is damaged, the note of a forgetting that was killed. Remove the "
            "file, and forget the same persons again: whoever is on the list already "
            "may still be in editions.",
        ) from None


def finish_alone(state: AgentState, limits: Ingest, now: datetime.datetime) -> None:
    """Do so, for a program that does not hold the store."""
    if note_file(state).exists() or rotation_note(state).exists():
        with state.exclusive(), workspace(state) as folder:
            finish(state, folder / "before", limits, now)


def _take_out(
    state: AgentState,
    folder: Path,
    whom: Whom,
    limits: Ingest,
    now: datetime.datetime,
    note: Note,
) -> Receipt:
    folder.mkdir(mode=0o700)
    keys = keys_of(state, whom)
    try:
        rewrite_parts(state, folder, limits, now, lambda _: without_persons(whom))
        if state.current.is_symlink():
            sweep_builds(state)
        closed = _out_of_editions(state, whom)
    except OSError as error:
        raise disk_trouble(error, state) from error
    after = survey(state, whom, note.before)
    files, found = (
        pseudonyms_left(state, whom.pseudonyms) if isinstance(whom, Named) else (0, 0)
    )
    left = any(each.of_them for each in after) or keys_left(state, keys)
    if found or left:
        raise IntegrityError(
            "FORGET_FOUND_AGAIN",
            "Somebody who was to be forgotten is still found in the state directory. "
            "Run the command again; if it says so again, this is our mistake.",
        )
    receipt = Receipt(
        kind=Kind.FORGOTTEN,
        at=now.isoformat(),
        persons=note.persons,
        places=tuple(_compared(note.before, after)),
        closed=tuple(closed),
        searched=Searched(files=files, found=found),
    )
    kept = keep_receipt(state, receipt)
    note_file(state).unlink()
    sync_directory(state.store)
    return kept


def _out_of_editions(state: AgentState, whom: Whom) -> list[str]:
    """Write editions anew; return the names of those that had to be closed."""
    closed = []

    def chosen(folder: Path, columns: Columns) -> Flags | None:
        numbers = ordinals(folder, whom)
        return cases_of(columns, numbers) if len(numbers) else None

    def out_of(name: str, folder: Path) -> None:
        if searchable(folder):
            erase_from_edition(folder, chosen)
            return
        in_database = (folder / IN_DATABASE).exists()
        where = "a database" if in_database else "this machine"
        close_edition(folder, f"Nobody can be found in it; it lay in {where}.")
        closed.append(name)

    on_each_open_edition(state, out_of)
    return closed


def rewrite_parts(
    state: AgentState,
    folder: Path,
    limits: Ingest,
    now: datetime.datetime,
    condition: Callable[[str], Condition],
) -> None:
    """Write the parts anew that something leaves, and build the store of them."""
    changed: dict[str, Path | None] = {}
    for number, name in enumerate(parts_of(state.current)):
        target = folder / f"part-{number}"
        part = rewrite_part(
            (state.current / PARTS / name).resolve(),
            target,
            folder / f"work-{number}",
            limits,
            condition(name),
        )
        if part is not None:
            changed[name] = target if part.rows else None
    if changed:
        replace_parts(state, changed, folder, limits, now)


def _compared(before: Sequence[Held], after: Sequence[Held]) -> list[tuple[Held, Held]]:
    """Return what every place had before and has now; a part may have nothing left."""
    now = {(each.kind, each.name): each for each in after}
    gone = Held(kind="", name="", cases=0, persons=0)
    return [
        (
            each,
            now.get(
                (each.kind, each.name),
                gone.model_copy(update={"kind": each.kind, "name": each.name}),
            ),
        )
        for each in before
    ]
