# SPDX-License-Identifier: Apache-2.0
"""Commands about the agency's keys: keys, and what is done with their files."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accord.agent.answer import utc_now
from accord.agent.cli.options import AsJson, StateOption, console, screen, typed_yes
from accord.agent.cli.rounds import keys
from accord.agent.cli.screens import print_json, print_line
from accord.agent.keys.agency_key import prepare_agency_key, switch_agency_key
from accord.agent.keys.files import ring_of
from accord.agent.keys.kek import CREDENTIAL, KEK_BYTES, kek_content
from accord.agent.keys.public import key_lines, keys_json
from accord.agent.keys.sealing import Sealing, change_kek, seal_keys, unseal_keys
from accord.agent.keys.token_kek import TokenKek
from accord.agent.machine.private_files import write_private
from accord.agent.rounds.sealing import AUDIT_KEY, replace_audit_key
from accord.agent.state import AgentState, state_root
from accord.core.errors import InvalidQuery, PreconditionFailed

if TYPE_CHECKING:
    from accord.agent.rotation.rewriting import Rotated
    from accord.agent.rotation.rotating import Affected

keys_app = typer.Typer(
    name="keys",
    help="Print this agency's public keys, or change how its keys are kept.",
    invoke_without_command=True,
)


@keys_app.callback()
def show_keys(
    context: typer.Context, *, state: StateOption = None, as_json: AsJson = False
) -> None:
    """Print this agency's public keys as lines of its entry in members.yaml."""
    if context.invoked_subcommand is None:
        keys(state=state, as_json=as_json)
    elif state is not None or as_json:
        raise InvalidQuery(
            "OPTION_ALONE",
            f"Write options behind the command: `accord-agent keys "
            f"{context.invoked_subcommand} --state DIR`.",
        )


@keys_app.command("make-kek")
def make_kek(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="New file for it, outside of the state directory; without it the "
            "key is made in the token that config.toml names.",
            show_default=False,
        ),
    ] = None,
    *,
    state: StateOption = None,
) -> None:
    """Make a key-encrypting key, which keys can be sealed with."""
    if file is not None:
        write_private(file, kek_content(secrets.token_bytes(KEK_BYTES)))
        print_line(
            console,
            f"{file} holds a new key-encrypting key. Keep a copy where the copies of "
            "your keys are not: without it, sealed keys are lost.",
        )
        print_line(
            console,
            "Next: name it with kek_file below [keys] in config.toml, or give it to "
            f"the service as the systemd credential {CREDENTIAL}; then `accord-agent "
            "keys seal`.",
        )
        return
    kek = ring_of(AgentState.open(state_root(state)).root).current()
    if not isinstance(kek, TokenKek):
        raise InvalidQuery(
            "FILE_NOT_NAMED",
            "Name a new file for the key, or a token with pkcs11_module below [keys] "
            "in config.toml.",
        )
    kek.make()
    print_line(console, f"There is {kek.place} now. Next: `accord-agent keys seal`.")


@keys_app.command("seal")
def seal(
    *,
    take_plain: Annotated[
        bool,
        typer.Option(
            "--take-plain",
            help="Take plain files for keys also where keys are sealed already: you "
            "put them there yourself.",
        ),
    ] = False,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Seal every key under the key-encrypting key that is set up."""
    opened = AgentState.open(state_root(state))
    _show(seal_keys(opened, take_plain=take_plain), as_json=as_json)


@keys_app.command("unseal")
def unseal(*, state: StateOption = None, as_json: AsJson = False) -> None:
    """Keep keys as plain files again, mode 0600."""
    _show(unseal_keys(AgentState.open(state_root(state))), as_json=as_json)


@keys_app.command("rotate-kek")
def rotate_kek(*, state: StateOption = None, as_json: AsJson = False) -> None:
    """Seal every key under a new key-encrypting key, with the old one set up too."""
    found = change_kek(AgentState.open(state_root(state)))
    _show(found, as_json=as_json)
    if not as_json:
        print_line(
            console,
            "The old key-encrypting key can be taken out now; copies of keys that "
            "were made before open only with it.",
        )


@keys_app.command("rotate-agency")
def rotate_agency(
    *,
    switch: Annotated[
        bool,
        typer.Option("--switch", help="Use it from now on: the board has signed it."),
    ] = False,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Make another key for the board to sign; switch to it when it has."""
    opened = AgentState.open(state_root(state))
    with opened.exclusive():
        if switch:
            kept = switch_agency_key(opened)
            public = opened.secret_keys("").public
        else:
            public = prepare_agency_key(opened)
    if as_json:
        print_json(console, keys_json(public))
        return
    for line in key_lines(public):
        print_line(console, line)
    if switch:
        print_line(
            screen,
            f"These are this agency's keys now; the old one is in {kept}. Ask the "
            "hub's operator for a token, run `accord-agent enrol` and start the agent "
            "again. It answers when the board's list has these lines.",
        )
    else:
        print_line(
            screen,
            "Give these lines to the board in the place of the present ones. Nothing "
            "has changed yet; when the board has signed them, `accord-agent keys "
            "rotate-agency --switch`.",
        )


@keys_app.command("rotate-audit")
def rotate_audit(*, state: StateOption = None, as_json: AsJson = False) -> None:
    """Make another key of audits; what was sealed to the old one stays so."""
    opened = AgentState.open(state_root(state))
    with opened.exclusive():
        kept = replace_audit_key(opened)
    path = opened.keys / AUDIT_KEY
    if as_json:
        print_json(
            console, {"key": str(path), "old": None if kept is None else str(kept)}
        )
        return
    print_line(
        console,
        f"{path} is a new key; records of rounds are sealed to it from now on. It may "
        "be moved off this machine.",
    )
    print_line(
        console,
        "The old one was moved off before; keep it for audits of older questions."
        if kept is None
        else f"{kept} is the old one, for audits of older questions.",
    )


@keys_app.command("rotate-pseudonyms")
def rotate_pseudonyms(
    *,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask; for scripts and with --json.")
    ] = False,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Make another pseudonym and store key, and bring all that lies here under them."""
    from accord.agent.rotation.rotating import affected, rotate

    opened = AgentState.open(state_root(state))
    settings = opened.settings()
    may_ask = sys.stdin.isatty() and not as_json
    if not yes:
        _ask_rotation(affected(opened), may_ask=may_ask)
    found = rotate(opened, settings.ingest, utc_now())
    exported = settings.store.where == "database"
    if as_json:
        print_json(console, {**found.as_json(), "export_again": exported})
        return
    _show_rotated(found)
    if exported:
        print_line(
            console,
            "The table in your database has order keys of the older keys: run "
            "`accord-agent pushdown export`.",
        )


def _ask_rotation(found: Affected, *, may_ask: bool) -> None:
    """Say what would happen, and ask for it.

    Raises:
        PreconditionFailed: ROTATION_NOT_CONFIRMED
    """
    for name in found.parts:
        print_line(screen, f"part {name} would be written anew")
    for name in found.editions:
        print_line(
            screen, f"edition {name} would be written anew; it answers as before"
        )
    for name in found.in_database:
        print_line(
            screen, f"edition {name} lies in a database, and would stay as it is"
        )
    if not (may_ask and typed_yes("Rotate the pseudonym and the store key?")):
        raise PreconditionFailed(
            "ROTATION_NOT_CONFIRMED",
            "Nothing was changed. Run the command in a terminal and answer yes, or "
            "give --yes.",
        )


def _show_rotated(found: Rotated) -> None:
    pseudonym_key, store_key = found.keys
    for name in found.parts:
        print_line(console, f"part {name}: written anew under the new keys")
    for name in found.editions:
        print_line(console, f"edition {name}: written anew, answers as before")
    for name in found.in_database:
        print_line(
            console,
            f"edition {name}: lies in a database, NOT touched; its order keys are of "
            "older keys",
        )
    print_line(
        console,
        f"{pseudonym_key} and {store_key} are the newest keys. COPY THEM NOW to where "
        "the copies of your other keys are: without them what the agent holds is lost.",
    )
    print_line(
        console,
        "The older keys stay needed, here and in your copies: the new ones work only "
        "behind them. The next ingest reads every source once from the beginning. "
        "What you copied of the state directory before opens with the older keys "
        "alone; delete it if somebody may have seen them.",
    )


def _show(found: Sealing, *, as_json: bool) -> None:
    if as_json:
        content = {
            "sealed_with": found.place,
            "changed": list(found.changed),
            "unchanged": list(found.unchanged),
        }
        print_json(console, content)
        return
    if found.place is None:
        how = "are plain files now"
    else:
        how = f"are sealed with {found.place} now"
    all_ = sorted([*found.changed, *found.unchanged])
    print_line(console, f"{', '.join(all_)} {how}; {len(found.changed)} written anew.")
    if found.place is not None and found.changed:
        print_line(
            console,
            "What a disk or a copy keeps of the files as they were is not sealed.",
        )
