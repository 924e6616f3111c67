# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501 - a table is read by its columns
"""JSON Schemas that editors use agree with the forms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from accord.core.document import DocumentError, parse_document
from accord.core.schemas import FORMS, schema_of, schemas
from tests.policies import shipped
from tests.unit.core.small_policies import AGREEMENT, BOARD, MEMBERS, MODEL, changed
from tools.schemas import files

KINDS = {
    "agreements": "agreement",
    "members.yaml": "members",
    "models": "model",
    "presets": "preset",
}
DECLARED = {
    "emergency": "trends",
    "reason": "The river",
    "from": "2026-06-01",
    "until": "2026-06-02",
}
PRESET = {"preset": "own", "title": "Own", "because": ["For this test."]}


def validator(name: str) -> Any:  # noqa: ANN401 - jsonschema has no types
    """Return a validator of one kind of document."""
    schema = schema_of(FORMS[name])
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def as_editors_read(text: str) -> object:
    """Return a document with plain containers, dates left as text."""
    yaml = YAML(typ="safe")
    yaml.version = (1, 2)
    content = yaml.load(text)
    return json.loads(json.dumps(content, default=str))


def test_the_committed_schemas_are_those_of_the_forms() -> None:
    """``make schemas`` writes them."""
    for path, text in files():
        assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    "path", [p for p in shipped() if not p.startswith("emergencies")]
)
def test_the_shipped_samples_are_valid(path: str) -> None:
    """And each names its own schema for editors."""
    kind = KINDS[path.partition("/")[0]]
    text = shipped()[path].decode()
    assert list(validator(kind).iter_errors(as_editors_read(text))) == []
    above = "" if path == "members.yaml" else "../"
    named = f"# yaml-language-server: $schema={above}schemas/{kind}.schema.json\n"
    assert named in text
    assert Path(f"{kind}.schema.json").stem.partition(".")[0] in schemas()


@pytest.mark.parametrize(
    ("name", "document", "valid"),
    [
        ("board", BOARD, True),
        ("board", changed(BOARD, members__alice__key="ed25519:12"), False),
        ("members", MEMBERS, True),
        ("members", changed(MEMBERS, members__work__lifetime=...), False),
        ("model", MODEL, True),
        ("model", changed(MODEL, dimensions__age__multi=1), False),
        ("preset", PRESET, True),
        ("preset", changed(PRESET, limit={}), False),
        ("emergency", DECLARED, True),
        ("emergency", changed(DECLARED, reason=...), False),
        ("agreement", AGREEMENT, True),
        ("agreement", changed(AGREEMENT, protect__person_in_at_most="5 agencies"), True),
        ("agreement", changed(AGREEMENT, protect__person_in_at_most="5 persons"), False),
        ("agreement", changed(AGREEMENT, editions__embargo="30 days"), True),
        ("agreement", changed(AGREEMENT, editions__embargo="soon"), False),
        ("agreement", changed(AGREEMENT, protect__no_agency_above="80 %"), True),
        ("agreement", changed(AGREEMENT, protect__no_agency_above="lots"), False),
        ("agreement", changed(AGREEMENT, spend__delta=0.5), False),
        ("agreement", changed(AGREEMENT, spend__everyone__epsilon="much"), False),
        ("agreement", changed(AGREEMENT, agreement="Trends!"), False),
        ("agreement", changed(AGREEMENT, purpos=["x"]), False),
        ("agreement", changed(AGREEMENT, spend=...), False),
        ("agreement", changed(AGREEMENT, spend__everyone=...), False),
        ("agreement", changed(AGREEMENT, cohorts={"all": "everybody"}), False),
    ],
)  # fmt: skip
def test_schema_and_form_agree(
    name: str, document: Mapping[str, Any], valid: bool
) -> None:
    """An editor marks what the program refuses."""
    assert validator(name).is_valid(document) is valid
    try:
        parse_document(json.dumps(document), FORMS[name], source="x")
    except DocumentError:
        assert not valid
    else:
        assert valid


def test_an_agreement_that_extends_a_preset_may_leave_entries_to_it() -> None:
    """But not those that no preset has."""
    extending = changed(
        AGREEMENT, extends="own", spend=..., protect__groups_per_person=...
    )
    assert validator("agreement").is_valid(extending)
    assert not validator("agreement").is_valid(changed(extending, parties=...))


def test_entries_are_described_where_the_forms_describe_them() -> None:
    """An editor shows the text beside the entry."""
    described = schema_of(FORMS["members"])["$defs"]["RemitForm"]["properties"]
    assert "has cases of" in described["covers"]["description"]
    top = schema_of(FORMS["agreement"])["properties"]
    assert "can only tighten" in top["extends"]["description"]
