# SPDX-License-Identifier: Apache-2.0
"""``accord policy dossier``: drafts for lawyers."""

from __future__ import annotations

import datetime
import enum
from pathlib import Path
from typing import Annotated

import typer

from accord.client.cli.options import AsJson, notices, print_json
from accord.client.policy.drafts import policy_in
from accord.core.dossier import Document, Part, as_markdown
from accord.core.dossier import dossier as drafted
from accord.core.errors import ConfigurationError, InvalidQuery
from accord.core.messages import sentence


class Form(enum.StrEnum):
    """How a dossier is written."""

    MARKDOWN = "markdown"
    PDF = "pdf"


def dossier(
    file: Annotated[Path, typer.Argument(help="An agreement.")],
    *,
    part: Annotated[
        Part | None, typer.Option("--part", help="One document; else all of them.")
    ] = None,
    form: Annotated[
        Form, typer.Option("--format", help="markdown or pdf.")
    ] = Form.MARKDOWN,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="A file for one part, a folder for all of them."
        ),
    ] = None,
    on: Annotated[
        str, typer.Option("--on", help="The draft's day, such as 2026-03-01; today.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Draft what lawyers need: assessment, annex, record, breach runbook, orders."""
    policy, policies = policy_in(file)
    day = _day(on)
    parts = tuple(Part) if part is None else (part,)
    documents = {each: drafted(policy, policies.board, each, on=day) for each in parts}
    if output is None:
        _print(documents, form, as_json=as_json)
        return
    suffix = "md" if form is Form.MARKDOWN else "pdf"
    written: list[str] = []
    for each, document in documents.items():
        name = f"{policy.name}-{each}.{suffix}"
        target = output / name if part is None or output.is_dir() else output
        _write(target, _content(document, form))
        written.append(str(target))
    if as_json:
        print_json({"written": written})
        return
    for path in written:
        notices.print(sentence("dossier.written", path=path), soft_wrap=True)


def _print(documents: dict[Part, Document], form: Form, *, as_json: bool) -> None:
    if form is Form.PDF:
        raise InvalidQuery("OUTPUT_NEEDED", "Say where to: a PDF needs --output.")
    texts = {str(part): as_markdown(each) for part, each in documents.items()}
    if as_json:
        print_json({"documents": texts})
    else:
        typer.echo("\n".join(texts.values()), nl=False)


def _content(document: Document, form: Form) -> bytes:
    if form is Form.MARKDOWN:
        return as_markdown(document).encode()
    from accord.client.policy.dossier_pdf import as_pdf

    return as_pdf(document)


def _write(target: Path, content: bytes) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    except OSError as error:
        raise ConfigurationError(
            "OUTPUT_UNWRITABLE",
            f"{target} cannot be written: {error.strerror}. Name another file with"
            " --output.",
        ) from None


def _day(text: str) -> datetime.date:
    if not text:
        return datetime.datetime.now(datetime.UTC).date()
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise InvalidQuery("DAY_INVALID", "A day is written like 2026-03-01.") from None
