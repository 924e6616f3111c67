# SPDX-License-Identifier: Apache-2.0
"""Mappings that are shipped for exports and for the workbook to fill in."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from accord.agent.intake.codes import Reason
from accord.agent.intake.ingest import check, ingest
from accord.agent.intake.mapping import Mapping, load_mapping
from accord.agent.policies import model_for_mapping
from accord.agent.state import AgentState
from accord.agent.store.columns import Columns
from accord.agent.template import Field, Takes, fields_of, template
from accord.core.dimension import UNKNOWN
from accord.core.errors import ConfigurationError
from accord.core.messages import languages
from accord.core.model import DataModel
from tests.conftest import ROOT
from tests.unit.agent.agencies import LIMITS, NOW, new_state
from tests.unit.agent.command import Command
from tests.unit.agent.workbooks import with_part

MAPPINGS = ROOT / "policies" / "mappings"


@pytest.fixture(scope="module")
def model() -> DataModel:
    return model_for_mapping(None, "cases-v1", None)


@pytest.fixture
def state(tmp_path: Path) -> AgentState:
    return new_state(tmp_path / "state")


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    return Command(monkeypatch, capsys)


def shipped(name: str, model: DataModel) -> Mapping:
    path = MAPPINGS / f"{name}.yaml"
    return load_mapping(path.read_text(encoding="utf-8"), path.name, model)


def values(state: AgentState, model: DataModel, name: str) -> list[str]:
    """Return the values of a single-valued dimension, case by case."""
    with Columns.open(state.current, model_digest=model.digest) as columns:
        codes = sorted(columns.array(name).tolist())
        return [model.dimensions[name].leaves[code] for code in codes]


HOTLINE = """\
Calls and messages by first contact
"Period: 1 March 2024; to 30 April 2024"

Case number;First contact;Caller;Gender of the person;Nationality;Nationality;\
Country of the situation;Labour exploitation;Sexual exploitation;Domestic servitude;\
Criminal exploitation;Signs of control;Notes
H-1;2024-03-30T22:10:00Z;0770…;Female;Romanian;;UK;X;-;-;-;Debt, Wages withheld;…
H-2;2024-03-31T23:30:00Z;;Male;Vietnamese;British;United Kingdom;;;;X;None seen;
H-2;2024-03-31T23:30:00Z;;Male;Vietnamese;British;United Kingdom;;;;X;None seen;
H-3;2024-04-02T09:00:00+02:00;;Not asked;Sudanese;;Not known;;;;;;“said…”
Total;;;;;;;1;0;0;1
"""


def test_the_export_of_a_hotline(
    state: AgentState, model: DataModel, tmp_path: Path
) -> None:
    path = tmp_path / "calls.csv"
    path.write_bytes(HOTLINE.encode("windows-1252"))
    report = ingest(state, shipped("hotline-export", model), [path], LIMITS, NOW).report
    assert (report.read, report.kept, report.collapsed, report.refused) == (5, 3, 1, 1)
    assert [reason for _, reason in report.refusals] == [Reason.TOTAL_LINE]
    assert not report.names_persons
    # The second was on the first of April where its day counts.
    assert values(state, model, "registered_month") == ["2024-03", "2024-04", "2024-04"]
    assert report.recorded["citizenship"] == 3
    assert report.recorded["exploitation_type"] == 2
    assert report.recorded["means_of_control"] == 2


FORM = """\
\ufeff_uuid,_submission_time,person/given_name,person/family_name,person/birth_date,\
person/gender,person/citizenship,situation/country,situation/kind,situation/kind/work,\
situation/kind/sex,situation/kind/household,situation/kind/begging,situation/kind/crime,\
situation/kind/other,situation/control,situation/recruiter,situation/story
u1,2024-05-31T22:30:00.000Z,Ana,Novak,2006-06-01,f,ROU MDA,AUT,work sex,1,1,0,0,0,0,\
debt papers,partner,"a ""long"" story,
in lines"
u2,2024-05-31T20:30:00+02:00,,,,no_answer,,,,,,,,,,shackles,,
u3,2024-05-31T20:30:00+02:00,Bela,Kos,1990-01-01,m,stateless,,,0,0,0,0,0,0,nothing,,
"""


def test_the_answers_to_a_web_form(
    state: AgentState, model: DataModel, tmp_path: Path
) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(FORM, encoding="utf-8")
    report = ingest(state, shipped("web-form", model), [path], LIMITS, NOW).report
    assert (report.read, report.kept, report.persons, report.refused) == (3, 3, 3, 0)
    assert values(state, model, "registered_month") == ["2024-05", "2024-05", "2024-06"]
    # On the day that it was in Vienna, she was eighteen.
    assert values(state, model, "age_band") == ["18-20", "30-38", UNKNOWN]
    assert report.recorded["exploitation_type"] == 1
    assert report.recorded["means_of_control"] == 3


# The workbook to fill in


def filled(content: bytes, path: Path, rows: list[dict[str, str]]) -> Path:
    """Type rows into the template's sheet of cases, as a spreadsheet would."""
    path.write_bytes(content)
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        sheet = file.read("xl/worksheets/sheet2.xml").decode()
    names = [field.name for field in fields_of_file(path)]
    typed = "".join(
        f'<row r="{number}">'
        + "".join(
            f'<c r="{letters(names.index(name))}{number}" t="inlineStr"><is><t>'
            f"{escape(text)}</t></is></c>"
            for name, text in row.items()
        )
        + "</row>"
        for number, row in enumerate(rows, 3)
    )
    changed = sheet.replace("</sheetData>", f"{typed}</sheetData>")
    return with_part(path, "xl/worksheets/sheet2.xml", changed.encode())


def letters(column: int) -> str:
    head, tail = divmod(column, 26)
    return (chr(64 + head) if head else "") + chr(65 + tail)


def fields_of_file(path: Path) -> Iterator[Field]:
    """Return the fields by the header that stands in the workbook."""
    import python_calamine

    book = python_calamine.CalamineWorkbook.from_path(path)
    for name in book.get_sheet_by_name("Cases").to_python()[1]:
        yield Field(name=str(name), title="")


@pytest.fixture(scope="module")
def mapping(model: DataModel) -> Mapping:
    return shipped("htcds-template", model)


@pytest.fixture(scope="module")
def workbook(mapping: Mapping) -> bytes:
    pytest.importorskip("python_calamine", reason="the extra `excel` is not installed")
    return template(mapping, file="cases.xlsx", read_by="cases.yaml")


def test_every_choice_of_every_list_is_read(
    state: AgentState, mapping: Mapping, workbook: bytes, tmp_path: Path
) -> None:
    rows = [
        {"con_Consent": "Yes", "case_number": f"{field.name} {number}"}
        | {field.name: choice}
        for field in fields_of(mapping)
        for number, choice in enumerate(field.choices)
    ]
    report = check(
        state, mapping, [filled(workbook, tmp_path / "a.xlsx", rows)], LIMITS
    )
    assert len(rows) > 600
    # One of the choices is that the person does not agree.
    assert [reason for _, reason in report.refusals] == [Reason.NO_CONSENT]
    assert (report.kept, report.refused) == (len(rows) - 1, 1)
    for field in fields_of(mapping):
        if field.takes is Takes.SEVERAL:
            assert field.most > 1


def test_the_lists_hold_every_value_of_the_model(mapping: Mapping) -> None:
    for name, dimension in mapping.model.dimensions.items():
        entry = mapping.form.dimensions[name]
        if entry.codes is None:
            continue
        named = {value for each in entry.codes.values() for value in each}
        leaves = {leaf for leaf in dimension.leaves if not leaf.endswith("?")}
        assert leaves - named <= {UNKNOWN}, name


def test_a_filled_row_is_a_case_with_all_that_was_chosen(
    state: AgentState, mapping: Mapping, workbook: bytes, tmp_path: Path
) -> None:
    rows = [
        {
            "con_Consent": "Yes",
            "prs_FirstName": "Ana",
            "prs_SecondName": "Novak",
            "prs_Birthdate": "2001-02-03",
            "case_number": "007",
            "registration_date": "2026-01-31",
            "vic_TypeOfExploitation": "Forced labour; Forced begging",
            "vic_MethodsOfControl": "None",
            "vic_AgeWhenTrafficked": "17",
            "hte_Country": "ITA",
            "days_in_care": "30",
        },
        {"con_Consent": "Yes", "case_number": "8", "prs_Gender": "Feminin"},
        {"case_number": "9", "prs_Gender": "Feminine"},
    ]
    path = filled(workbook, tmp_path / "a.xlsx", rows)
    report = check(state, mapping, [path], LIMITS)
    assert (report.read, report.kept) == (3, 1)
    refusal = report.refusals["gender", Reason.UNKNOWN_CODE]
    # The number that the spreadsheet shows.
    assert report.rows_named(refusal) == "4"
    said = {name for name, cases in report.recorded.items() if cases}
    assert said - {"consent"} == {
        "registered_month",
        "age_band",
        "entry_age_band",
        "country_of_exploitation",
        "exploitation_type",
        "means_of_control",
        "days_in_care",
    }


@pytest.mark.parametrize("language", sorted(languages("template")))
def test_the_workbook_explains_itself(mapping: Mapping, language: str) -> None:
    content = template(mapping, file="c.xlsx", read_by="m.yaml", language=language)
    again = template(mapping, file="c.xlsx", read_by="m.yaml", language=language)
    assert content == again
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        texts = file.read("xl/sharedStrings.xml").decode()
        cases = file.read("xl/worksheets/sheet2.xml").decode()
    assert "accord-agent check --mapping m.yaml c.xlsx" in texts
    assert "template." not in texts
    assert "{" not in texts
    assert ('rightToLeft="1"' in cases) == (language == "ar")
    lists = sum(bool(field.choices) for field in fields_of(mapping))
    assert cases.count('type="list"') == lists > 15
    assert cases.count('type="date"') == 2


def test_an_empty_workbook_has_no_rows(
    state: AgentState, mapping: Mapping, workbook: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(workbook)
    assert check(state, mapping, [path], LIMITS).read == 0


def test_the_command_writes_workbook_and_mapping(
    state: AgentState, command: Command, tmp_path: Path
) -> None:
    path = tmp_path / "cases.xlsx"
    nowhere = ("--state", tmp_path / "nowhere")
    said = command("template", "htcds", path, *nowhere)
    assert said.status == 0, said.stderr
    assert f"accord-agent check --mapping {tmp_path / 'cases.yaml'} {path}" in (
        said.stdout
    )
    arguments = (path, "--mapping", tmp_path / "cases.yaml", "--state", state.root)
    said = command("check", *arguments)
    assert said.status == 0, said.stderr
    said = command("template", "htcds", path, *nowhere)
    assert said.status == 4
    assert "there already" in said.stderr


def test_a_workbook_of_a_mapping_of_ones_own(command: Command, tmp_path: Path) -> None:
    text = (MAPPINGS / "htcds-template.yaml").read_text(encoding="utf-8")
    mine = tmp_path / "mine.yaml"
    changed = text.replace("sheets: [Cases]", "sheets: [Akten]")
    mine.write_text(changed.replace("Forced labour:", "Zwangsarbeit:"), "utf-8")
    path = tmp_path / "a.xlsx"
    said = command("template", mine, path, "--state", tmp_path / "nowhere", "--json")
    assert said.status == 0, said.stderr
    assert not (tmp_path / "a.yaml").exists()
    with zipfile.ZipFile(path) as file:
        assert "Zwangsarbeit" in file.read("xl/sharedStrings.xml").decode()
        assert 'name="Akten"' in file.read("xl/workbook.xml").decode()


OWN = """\
mapping: own
data_model: cases-v1
source: {format: excel, sheets: [Lists, "2025"]}
person: [name]
case: [id]
consent: {column: ok, given: ["1"], not_given: ["0"], until: end, date: "%d.%m.%Y"}
dimensions:
  registered_month: {column: month, date: month}
  age_band: {column: age}
  region: {column: region, codes: {"01": norvale, "02": eastmere, "": unknown}}
  citizenship: {column: nation, separator: ";", codes: {"1": AUT, "2": DEU}}
  case_status: {column: status, codes: {"1": active, "2": closed, "3": closed}}
"""


def test_codes_in_a_workbook_stay_what_they_are(
    state: AgentState, model: DataModel, tmp_path: Path
) -> None:
    own = load_mapping(OWN, "own.yaml", model)
    fields = {field.name: field for field in fields_of(own)}
    assert {name: field.takes.value for name, field in fields.items()} == {
        "name": "text",
        "id": "text",
        "month": "written",
        "age": "one",
        "region": "one",
        "nation": "several",
        "status": "whole",
        "ok": "one",
        "end": "written",
    }
    assert fields["region"].choices == ("01", "02")
    assert (fields["status"].least, fields["status"].most) == (1, 3)
    examples = (fields["month"].example, fields["end"].example)
    assert examples == ("2026-01", "31.01.2026")
    path = tmp_path / "a.xlsx"
    path.write_bytes(template(own, file="a.xlsx", read_by="own.yaml"))
    # A spreadsheet takes 9-17 for a day and 01 for 1 but in cells of text.
    with zipfile.ZipFile(path) as file:
        book = file.read("xl/workbook.xml").decode()
        styles = file.read("xl/styles.xml").decode()
        sheet = file.read("xl/worksheets/sheet3.xml").decode()
    assert re.findall('<sheet name="([^"]+)"', book) == [
        *("Read me", "Lists", "2025", "Lists 2"),
    ]
    _, _, used = styles.partition("<cellXfs")
    formats = re.findall(r'<xf numFmtId="(\d+)"', used.partition("</cellXfs>")[0])
    text = {
        list(fields)[column - 1]
        for first, last, style in re.findall(
            r'<col min="(\d+)" max="(\d+)"[^>]*? style="(\d+)"', sheet
        )
        if f'numFmtId="{formats[int(style)]}" formatCode="@"' in styles
        for column in range(int(first), int(last) + 1)
    }
    assert set(fields) - text == {"status"}
    assert check(state, own, [path], LIMITS).read == 0


@pytest.mark.parametrize(
    "source",
    [
        "{sheets: [A name that is longer than a sheet can have]}",
        "{sheets: [2024/2025]}",
        "{sheets: [Cases, cases]}",
        "{format: csv}",
        "{database: office, table: cases}",
    ],
)
def test_no_workbook_is_made_that_its_mapping_would_not_read(
    model: DataModel, source: str
) -> None:
    text = OWN.replace('{format: excel, sheets: [Lists, "2025"]}', source)
    with pytest.raises(ConfigurationError) as caught:
        template(
            load_mapping(text, "own.yaml", model), file="a.xlsx", read_by="own.yaml"
        )
    assert caught.value.reason == "TEMPLATE_MAPPING"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("htcs", "a.xlsx"), "no template 'htcs'. Did you mean 'htcds'?"),
        (("htcds", "a.csv"), "must end in .xlsx"),
        (("htcds", "a.xlsx", "--language", "tlh"), "explained in: ar, en"),
        (("htcds", "none/a.xlsx"), "cannot be written"),
        (("none.yaml", "a.xlsx"), "cannot be read"),
    ],
)
def test_what_cannot_be_written_is_said(
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    said = command("template", *arguments, "--state", tmp_path / "nowhere")
    assert said.status != 0
    assert sentence in said.stderr
    assert not list(tmp_path.iterdir())
