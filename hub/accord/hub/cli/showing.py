# SPDX-License-Identifier: Apache-2.0
"""What the hub gives to the public."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accord.core.errors import InvalidQuery
from accord.core.messages import languages
from accord.hub.cli.common import (
    AsJson,
    StateOption,
    governed,
    now,
    opened,
    reading,
    show,
)
from accord.hub.transparency.folder import files_of, write_export
from accord.hub.transparency.publication import publication


def export(
    agreement: Annotated[str, typer.Argument(help="Name of the agreement.")],
    folder: Annotated[
        Path, typer.Argument(help="New, empty, or with an older export.")
    ],
    language: Annotated[
        str, typer.Option(help="Language of the page, such as en.")
    ] = "en",
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Write all questions and releases of an agreement for publication.

    A page that works offline, JSON and CSV. It names organisations, never analysts, and
    says of time only the day.
    """
    if language not in languages("export"):
        known = ", ".join(sorted(languages("export")))
        raise InvalidQuery(
            "LANGUAGE_UNKNOWN",
            f"There is no catalogue for the language {language[:20]!r}; there is:"
            f" {known}.",
        )
    place = opened(state)
    with governed(place) as standing:
        policies = standing.newest()
    with reading(place) as tx:
        shown = publication(tx, policies, agreement, now())
    files = files_of(shown, language)
    write_export(folder, files)
    show(
        {
            "agreement": agreement,
            "folder": str(folder),
            "questions": len(shown.questions),
            "releases": len(shown.releases),
            "files": sorted(files),
        },
        as_json=as_json,
        text=f"{len(shown.questions)} questions and {len(shown.releases)} releases of"
        f" {agreement} are in {folder}: open index.html.",
    )
