# SPDX-License-Identifier: Apache-2.0
"""Of which generation of keys everything is that lies here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from accord.agent.forgetting.listed import Forgotten
from accord.agent.intake.chain import generation_of_keys, key_files, keys_lost
from accord.agent.intake.parts import parts_of
from accord.agent.state import AgentState
from accord.agent.store.columns import Columns
from accord.agent.store.editions import IN_DATABASE
from accord.agent.store.erasing import open_editions
from accord.agent.store.generations import edition_name
from accord.core.errors import IntegrityError


def require_keys(state: AgentState) -> None:
    """Raise unless the keys are here that what lies here was made with.

    Raises:
        ConfigurationError: KEYS_LOST; or the list of the forgotten is damaged.
    """
    here = generation_of_keys(state)
    newest = max([0, *_made_with(state)])
    if newest > here:
        pseudonym_key, store_key = key_files(state, here + 1)
        raise keys_lost(pseudonym_key if store_key.exists() else store_key)
    for generation in range(1, here + 1):
        for path in key_files(state, generation):
            if not path.exists():
                raise keys_lost(path)


def is_behind(state: AgentState) -> bool:
    """Tell whether anything lies here under older keys than the newest.

    So it is after a rotation that was killed, and after a copy of the store from before
    a rotation was put back beside newer keys.
    """
    here = generation_of_keys(state)
    return here > 0 and min([here, *_stored_with(state)]) < here


def edition_generation(folder: Path) -> int:
    """Return the generation of keys that an edition was made with.

    Raises:
        IntegrityError: EDITION_BROKEN.
    """
    try:
        with Columns.open(folder) as columns:
            return columns.form.generation
    except IntegrityError:
        raise IntegrityError(
            "EDITION_BROKEN",
            f"The edition {edition_name(folder)} is damaged. Move its directory away "
            "and run the command again; the agent answers from the others.",
        ) from None


def rotatable(folder: Path) -> bool:
    """Tell whether an edition lies on this machine."""
    return not (folder / IN_DATABASE).exists()


def _made_with(state: AgentState) -> Iterator[int]:
    listed = Forgotten.of(state)
    if listed is not None:
        yield listed.generation
    yield from _stored_with(state)


def _stored_with(state: AgentState) -> Iterator[int]:
    yield from (part.generation for part in parts_of(state.current).values())
    for folder in filter(rotatable, open_editions(state)):
        with contextlib.suppress(IntegrityError):  # nothing is lost with a damaged one
            yield edition_generation(folder)
