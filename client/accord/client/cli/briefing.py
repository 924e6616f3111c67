# SPDX-License-Identifier: Apache-2.0
"""``accord brief``: one page on what was released."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated

import typer

import accord.client as accord
from accord.client.cli.options import (
    AgreementOption,
    AsJson,
    HubOption,
    ProfileOption,
    console,
    only_agreement,
    print_json,
)
from accord.core.errors import ConfigurationError, InvalidQuery

_MOST_RELEASES = 60
"""Newest releases of an agreement that a brief looks at."""


def brief(
    releases: Annotated[
        list[str] | None, typer.Argument(help="Ids of releases; else the newest ones.")
    ] = None,
    *,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="FILE.html or FILE.md to write.")
    ],
    drawings: Annotated[
        bool, typer.Option(help="Draw what can be drawn, or write sentences only.")
    ] = True,
    agreement: AgreementOption = None,
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Write one page in sentences on what was released; asks and charges nothing."""
    from accord.client.brief import as_html, as_markdown, brief_of

    forms = {".html": as_html, ".md": as_markdown}
    if out.suffix not in forms:
        raise InvalidQuery(
            "OUTPUT_FORM", f"{out} must end in .html or .md: a brief has these forms."
        )
    with accord.connect(hub, profile=profile) as session:
        ids = list(releases or ()) or _newest(session, agreement)
        results = [session.release(each) for each in dict.fromkeys(ids)]
    written = brief_of(results, drawings=drawings)
    try:
        out.write_text(forms[out.suffix](written), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            "OUTPUT_UNWRITABLE", f"{out} cannot be written: {error.strerror}."
        ) from None
    if as_json:
        print_json(
            {
                "file": str(out),
                "releases": [each for s in written.sections for each in s.releases],
                "sentences": written.sentences(),
                "drawings": sum(bool(s.drawing) for s in written.sections),
            }
        )
        return
    console.print(f"wrote {out}", soft_wrap=True)


def _newest(session: accord.Hub, agreement: str | None) -> list[str]:
    name = only_agreement(session, agreement)
    newest = itertools.islice(session.releases(name), _MOST_RELEASES)
    found = [each.id for each in newest]
    if not found:
        raise InvalidQuery(
            "NO_SERIES", f"Nothing was released under {name} that you may read."
        )
    return found
