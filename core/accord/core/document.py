# SPDX-License-Identifier: Apache-2.0
"""Strict YAML documents that people edit: agreements, data models, mappings.

A document is read once, completely: every problem of form and of content that can
be found is reported in one go, each with line, column, the entry's path and one
sentence. Tags, anchors, aliases and duplicate keys are refused, because a board
must be able to trust that what it reads is what the program reads.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Any, TypeVar

import pydantic
from pydantic_core.core_schema import CoreSchema, no_info_after_validator_function
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError, RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from accord.core.document_syntax import forbidden_syntax, place_of
from accord.core.errors import ConfigurationError, suggestion

Form = TypeVar("Form", bound=pydantic.BaseModel)

LARGEST_DOCUMENT = 1_000_000
"""Characters; a document for people is far smaller."""

_LARGEST_REMEMBERED = 100_000


class Strict(pydantic.BaseModel):
    """Base of every form: unknown keys are errors, values are frozen."""

    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, populate_by_name=True
    )


def _exact(value: object) -> object:
    """Read a number as the decimal that is written, never as its binary neighbour."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not math.isfinite(value):
            message = "a finite number is expected here."
            raise ValueError(message)
        return Fraction(str(value))
    if isinstance(value, Fraction):
        return value
    message = "a number is expected here."
    raise ValueError(message)


@dataclasses.dataclass(frozen=True, slots=True)
class _Worded:
    """A check of a text's form, for pydantic and for editors."""

    pattern: str
    sentence: str

    def __get_pydantic_core_schema__(
        self, source: object, handler: pydantic.GetCoreSchemaHandler
    ) -> CoreSchema:
        """Check after the text is known to be one."""
        form, sentence = re.compile(self.pattern), self.sentence

        def check(value: str) -> str:
            if form.fullmatch(value) is None:
                raise ValueError(sentence)
            return value

        return no_info_after_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: pydantic.GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Give editors the pattern."""
        return {**handler(schema), "pattern": f"^({self.pattern})$"}


def worded(pattern: str, sentence: str) -> _Worded:
    """Return a check of a text's form that fails with *sentence*."""
    return _Worded(pattern, sentence)


ExactNumber = Annotated[
    Fraction,
    pydantic.BeforeValidator(_exact),
    pydantic.WithJsonSchema({"type": "number"}),
]
"""A decimal number of a document as an exact fraction."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One thing that is wrong at one place of a document."""

    line: int
    """Counted from 1."""
    column: int
    """Counted from 1."""
    path: str
    """Names of the entries from the top, joined with dots; empty for the whole."""
    sentence: str

    def __str__(self) -> str:
        """Return ``line:column: path: sentence``."""
        where = f"{self.path}: " if self.path else ""
        return f"{self.line}:{self.column}: {where}{self.sentence}"


class DocumentError(ConfigurationError):
    """A document that cannot be used, with all its problems."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        """Sort the problems by place; the text has one line for each."""
        self.source = source
        self.problems = tuple(sorted(problems))
        lines = [f"{source}:{problem}" for problem in self.problems]
        super().__init__("DOCUMENT_INVALID", "\n".join(lines), document=source)


def parse_document(
    text: str,
    form: type[Form],
    *,
    source: str,
    beneath: Mapping[str, object] | None = None,
) -> Form:
    """Read *text* as YAML 1.2 and check it against *form*.

    Args:
        text: the whole document.
        form: the pydantic model that describes it.
        source: what to call the document in errors, usually its file name.
        beneath: entries that hold where the document says nothing; named entries are
            merged, everything else is replaced.

    Raises:
        DocumentError: with every problem found.
    """
    content = merged(beneath or {}, plain_document(text, source))
    try:
        return form.model_validate(content)
    except pydantic.ValidationError as error:
        tree = _load(text, source)
        problems = [_translate(detail, tree, form) for detail in error.errors()]
        raise DocumentError(source, problems) from None


def plain_document(text: str, source: str) -> Mapping[str, object]:
    """Return the named entries of a document, unchecked, with built-in types only.

    Raises:
        DocumentError: it is not YAML, or has no named entries.
    """
    if len(text) > _LARGEST_REMEMBERED:
        content = _plain(_load(text, source))
    else:
        try:
            content = _plain(_remembered(text))
        except DocumentError as error:
            raise DocumentError(source, error.problems) from None
    if not isinstance(content, dict):
        raise DocumentError(
            source, [_problem((1, 1), (), "expected a list of named entries here.")]
        )
    return content


@functools.lru_cache(maxsize=64)
def _remembered(text: str) -> object:
    """Return what a document says, to be copied by whoever hands it on.

    The same few documents are read again and again, and to parse one takes a tenth of
    a second.
    """
    return _plain(_load(text, ""))


def merged(beneath: object, above: object) -> object:
    """Return *above* with the named entries of *beneath* that it does not have."""
    if not (isinstance(beneath, Mapping) and isinstance(above, Mapping)):
        return above
    return {
        key: merged(beneath.get(key), above[key]) if key in above else beneath[key]
        for key in dict.fromkeys((*above, *beneath))
    }


def problem_at(tree_text: str, path: Sequence[str | int], sentence: str) -> Problem:
    """Return a problem placed at the entry *path* of the document *tree_text*.

    For checks across entries that run after the form has been accepted.
    """
    return _problem(_position(_load(tree_text, ""), path), path, sentence)


class _TextualDates(RoundTripConstructor):
    """Leaves dates as text, so that a wrong one is reported by the form, in place."""


_TextualDates.add_constructor(
    "tag:yaml.org,2002:timestamp", RoundTripConstructor.construct_scalar
)


def _load(text: str, source: str) -> Any:  # noqa: ANN401 - YAML may hold anything
    if len(text) > LARGEST_DOCUMENT:
        sentence = f"the document is longer than {LARGEST_DOCUMENT} characters."
        raise DocumentError(source, [_problem((1, 1), (), sentence)])
    yaml = YAML(typ="rt")
    yaml.version = (1, 2)
    yaml.Constructor = _TextualDates
    try:
        forbidden = forbidden_syntax(text)
        if forbidden:
            problems = [_problem(place, (), wrong) for place, wrong in forbidden]
            raise DocumentError(source, problems)
        return yaml.load(text)
    except DuplicateKeyError as error:
        place = place_of(error.problem_mark)
        sentence = "this entry stands here twice; keep one of them."
        raise DocumentError(source, [_problem(place, (), sentence)]) from None
    except MarkedYAMLError as error:
        place = place_of(error.problem_mark or error.context_mark)
        sentence = f"this is not valid YAML: {error.problem or 'it cannot be read'}."
        raise DocumentError(source, [_problem(place, (), sentence)]) from None
    except TypeError:  # what a name is looked up by has to be hashed
        sentence = (
            "this is not valid YAML: the name of an entry is a list, or has entries of "
            "its own (`? …`); a name is one word."
        )
        raise DocumentError(source, [_problem((1, 1), (), sentence)]) from None
    except (YAMLError, ValueError, RecursionError) as error:
        sentence = f"this is not valid YAML ({type(error).__name__})."
        raise DocumentError(source, [_problem((1, 1), (), sentence)]) from None


def _plain(node: object) -> object:
    """Return the tree with built-in containers and scalars only."""
    if isinstance(node, Mapping):
        return {_plain_key(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if isinstance(node, bool) or node is None:
        return node
    for kind in (str, int, float):
        if isinstance(node, kind):
            return kind(node)
    return node


def _plain_key(key: object) -> str:
    return key if isinstance(key, str) else str(key)


def _problem(
    place: tuple[int, int], path: Sequence[str | int], sentence: str
) -> Problem:
    names = ".".join(str(part) for part in path)
    return Problem(line=place[0], column=place[1], path=names, sentence=sentence)


def _position(tree: object, path: Sequence[str | int]) -> tuple[int, int]:
    """Return where the deepest entry of *path* that exists begins."""
    place = (1, 1)
    node = tree
    for part in path:
        marks = getattr(node, "lc", None)
        if isinstance(node, Mapping):
            key = next((key for key in node if _plain_key(key) == str(part)), None)
            if key is None:
                break
            line, column = marks.key(key) if marks is not None else (0, 0)
        elif isinstance(node, list) and isinstance(part, int) and part < len(node):
            key = part
            line, column = marks.item(part) if marks is not None else (0, 0)
        else:
            break
        place = (line + 1, column + 1)
        node = node[key]
    return place


_SENTENCES = {
    "missing": "this entry is missing.",
    "string_type": "a text is expected here.",
    "int_type": "a whole number is expected here.",
    "int_parsing": "a whole number is expected here.",
    "int_from_float": "a whole number is expected here.",
    "float_type": "a number is expected here.",
    "float_parsing": "a number is expected here.",
    "bool_type": "true or false is expected here.",
    "bool_parsing": "true or false is expected here.",
    "list_type": "a list is expected here.",
    "tuple_type": "a list is expected here.",
    "dict_type": "named entries are expected here.",
    "model_type": "named entries are expected here.",
    "finite_number": "a finite number is expected here.",
    "date_from_datetime_parsing": "a date is expected here, such as 2026-01-31.",
    "date_parsing": "a date is expected here, such as 2026-01-31.",
    "date_type": "a date is expected here, such as 2026-01-31.",
}


def _translate(
    detail: Mapping[str, Any], tree: object, form: type[pydantic.BaseModel]
) -> Problem:
    path = entries_of(detail)
    kind = str(detail["type"])
    context = detail.get("ctx") or {}
    if kind == "extra_forbidden":
        known = _known_entries(form, path[:-1])
        sentence = f"unknown entry.{suggestion(str(path[-1]), known)}"
        if known and not suggestion(str(path[-1]), known):
            sentence += f" Known here: {', '.join(sorted(known))}."
    elif kind == "missing":
        sentence = f"the entry {path[-1]!r} is missing here."
        return _problem(_position(tree, path[:-1]), path, sentence)
    elif kind in ("literal_error", "enum"):
        expected = str(context.get("expected", ""))
        sentence = f"expected one of {expected}."
    elif kind == "value_error":
        sentence = str(context.get("error", detail["msg"]))
    elif kind in _SENTENCES:
        sentence = _SENTENCES[kind]
    else:
        message = str(detail["msg"])
        sentence = message[:1].lower() + message[1:].rstrip(".") + "."
    return _problem(_position(tree, path), path, sentence)


def entries_of(detail: Mapping[str, Any]) -> list[str | int]:
    """Return the entries of the document in the place of a pydantic error."""
    place: Sequence[str | int] = detail["loc"]
    if detail["type"] in {"extra_forbidden", "missing"}:
        # The last one is an entry's name, whatever that looks like.
        return [*filter(_is_entry, place[:-1]), *place[-1:]]
    return [part for part in place if _is_entry(part)]


def _is_entry(part: str | int) -> bool:
    """Tell entries of the document from the names of union branches."""
    return isinstance(part, int) or not (
        "[" in part or part.endswith(("Form", "()")) or part in _SCALAR_BRANCHES
    )


_SCALAR_BRANCHES = {"str", "int", "float", "bool", "date", "none", "constrained-str"}


def _known_entries(
    form: type[pydantic.BaseModel], path: Sequence[str | int]
) -> set[str]:
    """Return the names that *form* allows at *path*; empty where they are free."""
    forms: list[type[pydantic.BaseModel]] = [form]
    for part in path:
        found: list[type[pydantic.BaseModel]] = []
        for candidate in forms:
            for name, field in candidate.model_fields.items():
                if part in (name, field.alias):
                    found.extend(_forms_in(field.annotation))
        forms = found or forms
    return {
        field.alias or name for f in forms for name, field in f.model_fields.items()
    }


def _forms_in(annotation: object) -> list[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return [annotation]
    arguments = getattr(annotation, "__args__", ())
    return [form for argument in arguments for form in _forms_in(argument)]
