# SPDX-License-Identifier: Apache-2.0
"""The command ``template``: a workbook for agencies that have no case database."""

from __future__ import annotations

import importlib.resources
from pathlib import Path
from typing import Annotated, Final

import typer

from accord.agent.cli.options import AsJson, StateOption, console
from accord.agent.cli.screens import print_json, print_line
from accord.agent.intake.mapping import Mapping, load_mapping, peek_model
from accord.agent.machine.looking import is_seen
from accord.agent.policies import model_for_mapping, read_document
from accord.agent.state import AgentState, state_root
from accord.agent.store.durable import SHARED, write_new
from accord.core.errors import ConfigurationError, Conflict, suggestion
from accord.core.messages import languages

SHIPPED: Final = {"htcds": "htcds-template.yaml"}
"""Mappings that workbooks are made of, by what the command calls them."""

_SUBJECT: Final = "template"


def write_template(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="htcds: fields of HTCDS 2.0. Or a mapping file of your own.",
            show_default=False,
        ),
    ],
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.xlsx", help="The workbook to write.", show_default=False
        ),
    ],
    *,
    language: Annotated[
        str, typer.Option("--language", help="Language of the workbook: en or ar.")
    ] = "en",
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Write a workbook to fill in, and beside it the mapping that reads it."""
    from accord.agent.template import template

    if language not in languages(_SUBJECT):
        known = ", ".join(sorted(languages(_SUBJECT)))
        raise ConfigurationError(
            "LANGUAGE_UNKNOWN", f"Workbooks are explained in: {known}."
        )
    if file.suffix.lower() != ".xlsx":
        raise ConfigurationError(
            "TEMPLATE_NAME", f"{file} must end in .xlsx, the form that is written."
        )
    mapping = _mapping(what, state)
    beside = file.with_suffix(".yaml") if what in SHIPPED else None
    for path in (file, beside):
        if path is not None and is_seen(path):
            raise Conflict(
                "TEMPLATE_EXISTS",
                f"{path} is there already, and may have been filled in. Name another "
                "file.",
            )
    read_by = beside or Path(what)
    content = template(mapping, file=file.name, read_by=read_by.name, language=language)
    try:
        write_new(file, content, SHARED)
        if beside is not None:
            write_new(beside, mapping.text.encode(), SHARED)
    except OSError as error:
        raise ConfigurationError(
            "TEMPLATE_UNWRITABLE", f"{file} cannot be written: {error.strerror}."
        ) from None
    if as_json:
        print_json(console, {"workbook": str(file), "mapping": str(read_by)})
        return
    print_line(console, f"{file} is to be filled in, and {read_by} reads it:")
    print_line(console, f"  accord-agent check --mapping {read_by} {file}")


def _mapping(what: str, state: Path | None) -> Mapping:
    root = state_root(state)
    opened = AgentState.open(root) if AgentState(root).is_set_up() else None
    if what in SHIPPED:
        name = SHIPPED[what]
        folder = importlib.resources.files("accord.policies") / "mappings"
        text = (folder / name).read_text(encoding="utf-8")
    elif Path(what).suffix.lower() in (".yaml", ".yml"):
        name, text = Path(what).name, read_document(Path(what))
    else:
        hint = suggestion(what, SHIPPED) or f" There is: {', '.join(SHIPPED)}."
        raise ConfigurationError(
            "TEMPLATE_UNKNOWN",
            f"There is no template {what!r}.{hint} A mapping of yours ends in .yaml.",
        )
    model = model_for_mapping(opened, peek_model(text, name), None)
    return load_mapping(text, name, model)
