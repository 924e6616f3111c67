# SPDX-License-Identifier: Apache-2.0
"""JSON Schemas of the documents that boards write, for their editors.

They are generated from the forms, so that an editor and the program agree on every
entry; what entries mean together only `accord.core.lint` knows.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pydantic

from accord.core.agreement_form import AgreementForm
from accord.core.board import BoardForm, DeclarationForm
from accord.core.members import MembersForm
from accord.core.model import DataModelForm
from accord.core.preset import PRESET_SECTIONS, PresetForm

FORMS: Final[Mapping[str, type[pydantic.BaseModel]]] = {
    "agreement": AgreementForm,
    "board": BoardForm,
    "emergency": DeclarationForm,
    "members": MembersForm,
    "model": DataModelForm,
    "preset": PresetForm,
}
"""By name of the schema's file."""

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, Any]]:
    """Return every schema by its name."""
    return {name: schema_of(form) for name, form in FORMS.items()}


def schema_of(form: type[pydantic.BaseModel]) -> dict[str, Any]:
    """Return the schema of one form, with the descriptions of its entries."""
    schema = form.model_json_schema(mode="validation", by_alias=True)
    definitions = schema.get("$defs", {})
    for each in _forms_in(form, {}).values():
        place = schema if each is form else definitions.get(each.__name__, {})
        for entry, text in _descriptions(each):
            described = place.get("properties", {}).get(entry)
            if described is not None:
                described["description"] = text
    if form is AgreementForm:
        _let_presets_fill_in(schema)
    return {"$schema": DIALECT, **schema}


def _let_presets_fill_in(schema: dict[str, Any]) -> None:
    """Ask for entries that a preset can give only where none is extended."""
    needed = schema["required"]
    below: dict[str, Any] = {}
    for section in PRESET_SECTIONS:
        reference = schema["properties"][section].get("$ref", "")
        definition = schema["$defs"].get(reference.rpartition("/")[2], {})
        if definition.get("required"):
            below[section] = {"required": definition.pop("required")}
    schema["required"] = [e for e in needed if e not in PRESET_SECTIONS]
    schema["if"] = {"not": {"required": ["extends"]}}
    schema["then"] = {
        "required": [e for e in needed if e in PRESET_SECTIONS],
        "properties": below,
    }


def _forms_in(
    form: type[pydantic.BaseModel], known: dict[str, type[pydantic.BaseModel]]
) -> dict[str, type[pydantic.BaseModel]]:
    known[form.__name__] = form
    for field in form.model_fields.values():
        for found in _models_in(field.annotation):
            if found.__name__ not in known:
                _forms_in(found, known)
    return known


def _models_in(annotation: object) -> Iterator[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models_in(argument)


def _descriptions(form: type[pydantic.BaseModel]) -> Iterator[tuple[str, str]]:
    """Yield the texts that stand under the fields in the source of *form*."""
    (tree,) = ast.parse(inspect.getsource(form)).body
    if not isinstance(tree, ast.ClassDef):
        return
    for before, after in zip(tree.body, tree.body[1:], strict=False):
        if (
            isinstance(before, ast.AnnAssign)
            and isinstance(before.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        ):
            field = form.model_fields[before.target.id]
            yield field.alias or before.target.id, " ".join(after.value.value.split())
