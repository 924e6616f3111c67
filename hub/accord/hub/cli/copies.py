# SPDX-License-Identifier: Apache-2.0
"""Back a hub up, and make one from a backup."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accord.hub.cli.common import (
    AsJson,
    StateOption,
    moment_text,
    now,
    opened,
    show,
)
from accord.hub.db.engine import open_store
from accord.hub.identity.authority import load_authority
from accord.hub.settings import load_settings
from accord.hub.state import find_state

_NEW_KEYS = (
    "Its keys are new: the board has to sign a members.yaml that lists what"
    " `accord-hub keys` prints, and every agency needs a new token.\n"
)


def backup(
    file: Annotated[Path, typer.Argument(help="Where it goes; a new file.")],
    with_keys: Annotated[
        bool, typer.Option("--with-keys", help="Put the hub's private keys into it.")
    ] = False,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Write everything that this hub is into one file, from one moment.

    The hub may serve meanwhile.
    """
    from accord.hub.backup.taking import take

    place = opened(state)
    key = load_authority(place.keys, now()).hub_form.key
    store = open_store(place, load_settings(place.config))
    try:
        store.check()
        made = take(place, store, file, key=key, with_keys=with_keys, at=now())
    finally:
        store.close()
    size = file.stat().st_size
    keys = (
        "The hub's private keys are in it: whoever has it can be your hub."
        if with_keys
        else f"The keys are not in it: keep a copy of {place.keys} in another place."
    )
    show(
        {
            "file": str(file),
            "bytes": size,
            "taken_at": moment_text(made.taken_at),
            "ledger_height": made.ledger_height,
            "log_size": made.log_size,
            "with_keys": with_keys,
        },
        as_json=as_json,
        text=f"{file}: {size} bytes, ledger height {made.ledger_height}, log of"
        f" {made.log_size} entries.\nIt tells who asked what: keep it as safely as the"
        f" hub. {keys}",
    )


def restore(
    file: Annotated[Path, typer.Argument(help="Of `accord-hub backup`.")],
    new_keys: Annotated[
        str | None,
        typer.Option(
            "--new-keys",
            metavar="NETWORK",
            help="Make other keys, where the old ones are lost; names the network.",
            show_default=False,
        ),
    ] = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Make a hub from a backup, in an empty folder and an empty database.

    It releases nothing before every agency has said what it charged since
    (`accord-hub ledger reconcile`).
    """
    from accord.hub.backup.restoring import restore as make

    place = find_state(state)
    found = make(file, place, now(), new_keys=new_keys)
    show(
        {
            "state": str(place.root),
            "taken_at": moment_text(found.taken_at),
            "ledger_height": found.ledger_height,
            "log_size": found.log_size,
        },
        as_json=as_json,
        text=f"The hub of {moment_text(found.taken_at)} is in {place.root}.\n"
        "It may have forgotten what was spent since, so it takes no question yet.\n"
        f"{'' if new_keys is None else _NEW_KEYS}"
        "Next: start `accord-hub serve`, so that agencies can report; then"
        " `accord-hub ledger reconcile`.",
    )
