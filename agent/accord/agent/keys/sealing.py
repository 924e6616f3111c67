# SPDX-License-Identifier: Apache-2.0
"""Sealing all keys of an agent, opening them for good, and changing the KEK.

Each file is replaced in one step by one that holds the same secret, and reading knows
both forms: whatever is cut off in between, every key can be read, and the same command
finishes what was begun. The file `SEALED` says before them all what is to be: a key
that is made meanwhile has that form. Until the end it names those that may be plain.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from accord.agent.keys import envelope
from accord.agent.keys.envelope import Kek
from accord.agent.keys.files import (
    ENDING,
    is_secret,
    no_kek,
    read_secret,
    ring_of,
)
from accord.agent.keys.kek import lies_within
from accord.agent.keys.marker import SEALED, Marker
from accord.agent.machine.private_files import (
    clear_partial,
    read_private,
    replace_private,
)
from accord.agent.state import AgentState
from accord.agent.store.durable import sync_directory
from accord.core.errors import ConfigurationError, PreconditionFailed


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sealing:
    """What became of the keys."""

    changed: tuple[str, ...]
    """Files that were written anew."""
    unchanged: tuple[str, ...]
    """Files that were as they should be."""
    place: str | None
    """Where the KEK is that all are sealed under now, if they are."""


def seal_keys(state: AgentState, *, take_plain: bool = False) -> Sealing:
    """Seal every key under the KEK of the settings, those of an older KEK too.

    Args:
        state: the agent's.
        take_plain: believe plain files also where keys are sealed already.

    Raises:
        ConfigurationError: KEK_ABSENT, there is none; KEK_BESIDE_KEYS; or a key cannot
            be read.
    """
    ring = ring_of(state.root)
    kek = ring.current()
    if kek is None:
        raise no_kek("There is nothing to seal keys with.", ring)
    named = ring.settings.keys.kek_file
    if named is not None and lies_within(Path(named), state.root):
        raise ConfigurationError(
            "KEK_BESIDE_KEYS",
            f"The key-encrypting key {state.root / named} lies in the state directory: "
            "whoever copies that has both. Move it to another volume, and change "
            "kek_file in config.toml.",
        )
    with state.exclusive():
        clear_partial(state.keys, ENDING, SEALED)
        # Read all before anything is written: a key that does not open stops it here.
        kept = {path: read_private(path) for path in secrets_of(state)}
        plain = {path for path in kept if not envelope.is_sealed(kept[path])}
        secrets = {
            path: content if take_plain and path in plain else read_secret(path)
            for path, content in kept.items()
        }
        begun = Marker(plain=frozenset(path.name for path in plain))
        _say(state, kek, begun)
        changed, unchanged = [], []
        for path, content in secrets.items():
            if path not in plain and envelope.kek_id(kept[path]) == kek.id:
                unchanged.append(path.name)
                continue
            replace_private(path, _tried(kek, path, content))
            changed.append(path.name)
        _say(state, kek, Marker())
    return Sealing(changed=tuple(changed), unchanged=tuple(unchanged), place=kek.place)


def _say(state: AgentState, kek: Kek, marker: Marker) -> None:
    path = state.keys / SEALED
    replace_private(path, _tried(kek, path, marker.content()))


def _tried(kek: Kek, path: Path, content: bytes) -> bytes:
    """Return an envelope that opens again: it takes the place of the only copy."""
    sealed = envelope.seal(kek, path.name, content)
    try:
        opened = envelope.unseal(kek, path.name, sealed)
    except envelope.Altered:
        opened = None
    if opened != content:
        raise ConfigurationError(
            "KEK_BROKEN",
            f"What {kek.place} seals does not open with it again; {path} was left as "
            "it was. Use another key or token.",
        )
    return sealed


def change_kek(state: AgentState) -> Sealing:
    """Seal every key under the new KEK; the old one is set up beside it.

    Raises:
        PreconditionFailed: KEYS_NOT_SEALED, KEK_NOT_CHANGED.
        ConfigurationError: as `seal_keys`.
    """
    if not (state.keys / SEALED).exists():
        raise PreconditionFailed(
            "KEYS_NOT_SEALED",
            f"The keys in {state.keys} are not sealed, so that no key-encrypting key "
            "can be changed. `accord-agent keys seal` seals them.",
        )
    found = seal_keys(state)
    if not found.changed:
        raise PreconditionFailed(
            "KEK_NOT_CHANGED",
            f"All keys are sealed under the key of {found.place} already. Set up the "
            "new key-encrypting key in its place, the present one below [keys.old] in "
            "config.toml or as the credential accord-agent.kek.old, and run the "
            "command again.",
        )
    return found


def unseal_keys(state: AgentState) -> Sealing:
    """Write every key as it was before it was sealed.

    Raises:
        ConfigurationError: a key cannot be read.
    """
    with state.exclusive():
        clear_partial(state.keys, ENDING, SEALED)
        plain = {path: read_secret(path) for path in secrets_of(state)}
        kept = {path: read_private(path) for path in plain}
        sealed = [path for path in kept if envelope.is_sealed(kept[path])]
        if sealed:
            kek = ring_of(state.root).named(envelope.kek_id(kept[sealed[0]]))
            assert kek is not None  # noqa: S101  # it has just opened that file
            _say(state, kek, Marker(opening=True))
        for path in sealed:
            replace_private(path, plain[path])
        (state.keys / SEALED).unlink(missing_ok=True)
        sync_directory(state.keys)
    return Sealing(
        changed=tuple(path.name for path in sealed),
        unchanged=tuple(path.name for path in kept if path not in sealed),
        place=None,
    )


def secrets_of(state: AgentState) -> Iterator[Path]:
    """Yield the files of keys, in order."""
    yield from sorted(path for path in state.keys.iterdir() if is_secret(path))
