# SPDX-License-Identifier: Apache-2.0
"""What commands ask the person at the terminal; answers never stand in arguments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from accord.client.policy.keys import passphrase_in
from accord.core.errors import InvalidQuery, PolicyDenied

PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", help="Its first line is the passphrase; else it is asked."
    ),
]
Yes = Annotated[
    bool, typer.Option("--yes", help="Do not ask; for scripts that have looked.")
]
Words = Annotated[
    str | None,
    typer.Option("--words", help="The six words that you were told; do not ask."),
]


def passphrase(file: Path | None, *, new: bool = False) -> str:
    """Return the passphrase of a file, or ask for it; twice where it is *new*.

    Raises:
        ConfigurationError: PASSPHRASE_UNREADABLE.
        InvalidQuery: PASSPHRASE_NEEDED, where there is nobody to ask.
    """
    if file is not None:
        return passphrase_in(file)
    if not sys.stdin.isatty():
        raise InvalidQuery(
            "PASSPHRASE_NEEDED",
            "There is no terminal to ask for the passphrase; name a file that holds it "
            "with --passphrase-file.",
        )
    found: str = typer.prompt(
        "Passphrase", hide_input=True, confirmation_prompt=new, err=True
    )
    return found


def confirm(question: str) -> None:
    """Ask, and go on only after yes.

    Raises:
        InvalidQuery: CONFIRMATION_NEEDED, where there is nobody to ask.
        PolicyDenied: NOT_CONFIRMED.
    """
    if not sys.stdin.isatty():
        raise InvalidQuery(
            "CONFIRMATION_NEEDED",
            "There is no terminal to ask at; give the words that you compared with "
            "--words, or --board.",
        )
    if not typer.confirm(question, err=True):
        raise PolicyDenied("NOT_CONFIRMED", "Nothing was done.")


def check_words(told: str, words: str) -> None:
    """Refuse where the words are not those of the proposal.

    Raises:
        PolicyDenied: WORDS_DIFFER.
    """
    if " ".join(told.lower().split()) != words:
        raise PolicyDenied(
            "WORDS_DIFFER",
            "These are not the words of this proposal: it is not the one that the "
            "others look at. Nothing was done.",
        )


def pairs(given: list[str] | None, option: str) -> dict[str, str]:
    """Read repeated ``NAME=VALUE``.

    Raises:
        InvalidQuery: OPTION_MALFORMED.
    """
    found: dict[str, str] = {}
    for each in given or []:
        name, equals, value = each.partition("=")
        if not equals or not name.strip() or not value.strip() or name in found:
            raise InvalidQuery(
                "OPTION_MALFORMED",
                f"{option} is NAME=VALUE, each name once; not {each[:100]!r}.",
            )
        found[name.strip()] = value.strip()
    return found
