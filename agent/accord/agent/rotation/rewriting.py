# SPDX-License-Identifier: Apache-2.0
"""Everything that lies here is brought under the newest keys, and what was killed too.

In this order: the store key is made, which alone is of no use; the note is written; the
pseudonym key is made; the parts are written anew, and the build of them, in one step;
every edition is, each whole at every moment; the note is removed. Whatever ends the
program, each part, build and edition says under which keys it lies, so that what is
left can be done at any time, by the next command that changes the store or the next
start of the agent.

Whoever calls holds `AgentState.exclusive`.
"""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from typing import Any

from accord.agent.intake.build import replace_parts, sweep_builds
from accord.agent.intake.chain import (
    Chains,
    generation_of_keys,
    key_files,
    make_pseudonym_key,
    make_store_key,
)
from accord.agent.intake.parts import PARTS, parts_of
from accord.agent.rotation.edition import write_rotated
from accord.agent.rotation.note import rotation_note, write_rotation_note
from accord.agent.rotation.part import rotate_part
from accord.agent.rotation.standing import edition_generation, is_behind, rotatable
from accord.agent.settings import Ingest
from accord.agent.state import AgentState, disk_trouble
from accord.agent.store.durable import sync_directory
from accord.agent.store.erasing import on_each_open_edition, replace_edition


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """What was brought under the newest keys."""

    generation: int
    keys: tuple[Path, ...]
    """The newest keys."""
    parts: tuple[str, ...]
    editions: tuple[str, ...]
    in_database: tuple[str, ...]
    """Editions that do not lie on this machine, and stay as they are."""

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "generation": self.generation,
            "keys": [str(path) for path in self.keys],
            "parts": list(self.parts),
            "editions": list(self.editions),
            "in_database": list(self.in_database),
        }


def begin_rotation(
    state: AgentState,
    generation: int,
    folder: Path,
    limits: Ingest,
    now: datetime.datetime,
) -> Rotated:
    """Make the keys of a generation, and bring everything under them.

    Raises:
        ConfigurationError: a key cannot be made.
        PreconditionFailed: the disk is full.
        IntegrityError: a part or an edition is damaged.
    """
    make_store_key(state, generation)
    try:
        write_rotation_note(state, now)
    except OSError as error:
        raise disk_trouble(error, state) from error
    make_pseudonym_key(state, generation)
    return _rewrite(state, folder, limits, now)


def finish_rotation(
    state: AgentState, folder: Path, limits: Ingest, now: datetime.datetime
) -> Rotated | None:
    """Do what a rotation that was killed has left undone, if there is one."""
    note = rotation_note(state)
    _, following = key_files(state, generation_of_keys(state) + 1)
    if note.exists() and following.exists():
        note.unlink()  # it was killed before its pseudonym key was made
    if note.exists() or is_behind(state):
        return _rewrite(state, folder, limits, now)
    return None


def _rewrite(
    state: AgentState, folder: Path, limits: Ingest, now: datetime.datetime
) -> Rotated:
    chains = Chains.of(state)
    folder.mkdir(mode=0o700)
    try:
        parts = _rewrite_parts(state, chains, folder, limits, now)
        editions, in_database = _rewrite_editions(state, chains)
    except OSError as error:
        raise disk_trouble(error, state) from error
    rotation_note(state).unlink(missing_ok=True)
    sync_directory(state.store)
    return Rotated(
        generation=chains.generation,
        keys=key_files(state, chains.generation),
        parts=tuple(parts),
        editions=tuple(editions),
        in_database=tuple(in_database),
    )


def _rewrite_parts(
    state: AgentState,
    chains: Chains,
    folder: Path,
    limits: Ingest,
    now: datetime.datetime,
) -> list[str]:
    changed: dict[str, Path | None] = {}
    for number, (name, part) in enumerate(parts_of(state.current).items()):
        if part.generation < chains.generation:
            target = folder / f"part-{number}"
            rotate_part(
                (state.current / PARTS / name).resolve(),
                target,
                folder / f"work-{number}",
                limits,
                chains,
            )
            changed[name] = target
    if changed:
        replace_parts(state, changed, folder, limits, now)
    else:
        sweep_builds(state)
    return list(changed)


def _rewrite_editions(state: AgentState, chains: Chains) -> tuple[list[str], list[str]]:
    """Return the names of those that were written anew, and of those that were not."""
    rewritten, in_database = [], []

    def rotated(name: str, folder: Path) -> None:
        if not rotatable(folder):
            in_database.append(name)
        elif edition_generation(folder) < chains.generation:
            _rotate_edition(folder, chains)
            rewritten.append(name)

    on_each_open_edition(state, rotated)
    return rewritten, in_database


def _rotate_edition(folder: Path, chains: Chains) -> None:
    replace_edition(folder, lambda made: write_rotated(folder, made, chains))
