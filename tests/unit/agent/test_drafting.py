# SPDX-License-Identifier: Apache-2.0
"""A draft says what a source's columns are, asks what it cannot tell, and no more."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import datetime
import functools
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.agent.drafting.asking import ask_all
from accord.agent.drafting.draft import Draft, Kind
from accord.agent.drafting.drafting import draft_mapping
from accord.agent.drafting.origins import Origin
from accord.agent.drafting.placing import Placer
from accord.agent.drafting.profiles import NO_PROFILE, PROFILES
from accord.agent.drafting.words import alike, name_of, shipped_words
from accord.agent.drafting.writing import quoted, written
from accord.agent.intake.ingest import check
from accord.agent.intake.mapping import (
    CASES_ONLY,
    ROW_NUMBER,
    DimensionEntry,
    MappingForm,
    fold,
    load_mapping,
)
from accord.agent.policies import model_for_mapping
from accord.agent.state import AgentState
from accord.core.dimension import Dimension
from accord.core.document import DocumentError, parse_document, plain_document
from accord.core.document_syntax import hidden_in
from accord.core.errors import InvalidQuery, SourceError
from accord.core.model import DataModel, load_model
from tests.conftest import ROOT
from tests.unit.agent.agencies import LIMITS, new_state
from tests.unit.agent.case_files import (
    SECRET_NAMES,
    SECRET_NOTES,
    columns,
    refuge,
    write_table,
)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> AgentState:
    return new_state(tmp_path_factory.mktemp("agent") / "state")


@pytest.fixture(scope="module")
def model(state: AgentState) -> DataModel:
    return model_for_mapping(state, "cases-v1", None)


@functools.cache
def sample_model() -> DataModel:
    """Return the model where a property has no room for it among its examples."""
    file = ROOT / "policies" / "models" / "cases-v1.yaml"
    return load_model(file.read_text("utf-8"), file.name)


def answered(draft: Draft) -> Draft:
    """Answer everything in some way."""
    while questions := list(draft.questions()):
        question = questions[0]
        if question.kind is Kind.PERSON:
            draft.answer_person(draft.proposals[0].person)
        elif question.kind is Kind.CONSENT:
            draft.answer_consent(())
        elif question.kind is Kind.DATE:
            draft.answer_date(question.choices[0])
        else:
            draft.answer_code(question, "unknown")
    return draft


class TestSpanishShelter:
    """One real-looking source, from beginning to end."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        return refuge(tmp_path / "refugio 2024.csv")

    @pytest.fixture
    def draft(self, state: AgentState, model: DataModel, file: Path) -> Draft:
        return draft_mapping(state, Origin((file,)), model)

    def test_columns_are_recognised(self, draft: Draft) -> None:
        assert {name: entry.reads for name, entry in draft.in_order()} == {
            "registered_month": ("Fecha de ingreso",),
            "case_status": ("Estado del caso",),
            "age_band": ("Fecha de nacimiento", "Fecha de ingreso"),
            "gender": ("Sexo",),
            "citizenship": ("Nacionalidad",),
            "exploitation_type": ("Tipo de explotación",),
        }
        assert draft.quantities == {"number_of_children": ("Número de hijos", False)}
        assert draft.form.encoding == "windows-1252"
        assert draft.case == ("Expediente",)
        assert draft.entries["registered_month"].forms == ("%d/%m/%Y",)
        assert draft.entries["age_band"].forms == ("%d/%m/%Y",)

    def test_codes_are_placed(self, draft: Draft) -> None:
        entries = draft.entries
        assert entries["citizenship"].codes == {
            "España": ("ESP",),
            "Española": ("ESP",),
            "Marruecos": ("MAR",),
            "Nigeria": ("NGA",),
            "Rumanía": ("ROU",),
        }
        kinds = entries["exploitation_type"].codes
        both = kinds["Explotación sexual, Mendicidad"]
        assert both == ("sexual_exploitation", "forced_begging")
        assert entries["gender"].codes["Desconocido"] == ("unknown",)

    def test_only_what_cannot_be_told_is_asked(self, draft: Draft) -> None:
        person, code = draft.questions()
        assert person.kind is Kind.PERSON
        assert (code.column, code.code) == ("Tipo de explotación", "Rarísimo")
        assert len(code.choices) == 4
        names = ("Nombre", "Apellidos", "Fecha de nacimiento")
        assert [each.person for each in draft.proposals] == [
            names,
            ROW_NUMBER,
            CASES_ONLY,
        ]

    def test_an_open_draft_is_refused_with_every_question(
        self, draft: Draft, model: DataModel
    ) -> None:
        with pytest.raises(DocumentError) as caught:
            load_mapping(written(draft), "draft.yaml", model)
        first, second = caught.value.sentence.splitlines()
        assert "person: a question of the draft is open" in first
        assert "a question of the draft is open" in second

    def test_an_answered_one_passes_the_check(
        self, draft: Draft, state: AgentState, model: DataModel, file: Path
    ) -> None:
        mapping = load_mapping(written(answered(draft)), "draft.yaml", model)
        report = check(state, mapping, [file], LIMITS)
        assert (report.read, report.kept, report.refused) == (120, 120, 0)
        assert report.persons == 120
        assert mapping.name == "refugio-2024"

    def test_names_and_notes_are_not_looked_into(self, draft: Draft) -> None:
        """Neither in the file nor in anything that the draft holds."""
        everything = written(draft) + repr(draft)
        for secret in (*SECRET_NAMES, SECRET_NOTES, "García", "E17"):
            assert secret not in everything
        assert set(draft.unread) == {
            "Expediente",
            "Nombre",
            "Apellidos",
            "Observaciones",
        }

    def test_nothing_is_left_in_the_private_folder(
        self, draft: Draft, state: AgentState
    ) -> None:
        assert draft.entries
        assert not list(state.scratch.iterdir())

    def test_the_terminal_asks_what_is_open(self, draft: Draft) -> None:
        said: list[str] = []
        typed = iter(["Nombre, Nix", "9", "Expediente", "perhaps", "?", "other"])
        ask_all(draft, lambda _: next(typed), said.append)
        assert draft.person == ("Expediente",)
        codes = draft.entries["exploitation_type"].codes
        assert codes["Rarísimo"] == ("other",)
        assert not list(draft.questions())
        assert "The source has no column 'Nix'." in said
        assert "The source has no column '9'." in said
        assert "There is no such value." in said

    def test_an_end_of_input_leaves_the_rest_open(self, draft: Draft) -> None:
        typed = iter(["2"])

        def ask(_: str) -> str:
            try:
                return next(typed)
            except StopIteration:
                raise EOFError from None

        ask_all(draft, ask, lambda _: None)
        assert draft.person == ROW_NUMBER
        assert len(list(draft.questions())) == 1


class TestForms:
    """Dates, numbers, flags, and several values in one field."""

    def drafted(
        self,
        state: AgentState,
        model: DataModel,
        tmp_path: Path,
        content: dict[str, list[str]],
    ) -> Draft:
        file = columns(tmp_path / "cases.csv", content)
        return draft_mapping(state, Origin((file,)), model, profile_name=NO_PROFILE)

    @pytest.mark.parametrize(
        ("dates", "forms", "either"),
        [
            (["2025-03-31", "2025-04-01"], ("%Y-%m-%d",), ()),
            (["2025-03-31T10:11:12+01:00"], ("%Y-%m-%d",), ()),
            (["31.03.2025", "01.04.2025"], ("%d.%m.%Y",), ()),
            (["03/31/2025", "04/01/2025"], ("%m/%d/%Y",), ()),
            (["04/01/2025", "05/06/2025"], (), ("%d/%m/%Y", "%m/%d/%Y")),
            (["2025-03-31", "31/03/2025"], ("%Y-%m-%d", "%d/%m/%Y"), ()),
            (["2025"], ("year",), ()),
            (["2025Q1", "2025-Q2"], ("quarter",), ()),
            (["2025-03"], ("month",), ()),
            (["3 Mar 2025"], ("%d %b %Y",), ()),
        ],
    )
    def test_the_form_of_dates_is_found(
        self,
        state: AgentState,
        model: DataModel,
        tmp_path: Path,
        dates: list[str],
        forms: tuple[str, ...],
        either: tuple[str, ...],
    ) -> None:
        content = {"Registration Date": dates, "Sex": ["F", "M"]}
        draft = self.drafted(state, model, tmp_path, content)
        entry = draft.entries["registered_month"]
        assert (entry.forms, entry.either) == (forms, either)
        mapping = load_mapping(written(answered(draft)), "d.yaml", model)
        report = check(state, mapping, [tmp_path / "cases.csv"], LIMITS)
        assert report.refused == 0
        assert report.share_recorded("registered_month") == 1

    def test_an_ambiguous_day_is_asked_once_and_for_all(
        self, state: AgentState, model: DataModel, tmp_path: Path
    ) -> None:
        content = {
            "Registration Date": ["04/01/2025"],
            "Date of birth": ["05/06/1990"],
            "Sex": ["F"],
        }
        draft = self.drafted(state, model, tmp_path, content)
        with pytest.raises(DocumentError, match="open"):
            load_mapping(written(draft), "d.yaml", model)
        typed = iter(["1", "1"])
        ask_all(draft, lambda _: next(typed, ""), lambda _: None)
        assert draft.entries["registered_month"].forms == ("%d/%m/%Y",)
        assert draft.entries["age_band"].forms == ("%d/%m/%Y",)
        assert not [q for q in draft.questions() if q.kind is Kind.DATE]

    def test_what_is_no_date_is_not_taken_for_one(
        self, state: AgentState, model: DataModel, tmp_path: Path
    ) -> None:
        content = {"Registration Date": ["soon", "2025-01-01"], "Sex": ["F", "M"]}
        draft = self.drafted(state, model, tmp_path, content)
        assert "registered_month" not in draft.entries
        assert draft.maybe["Registration Date"] == ("registered_month",)
        assert "Is Registration Date one of these" in written(draft)

    def test_flags_are_values(
        self, state: AgentState, model: DataModel, tmp_path: Path
    ) -> None:
        content = {
            "means_of_control_debt_bondage": ["1", "0", ""],
            "means_of_control_threats": ["0", "1", ""],
            "Control: Withholds documents": ["yes", "no", ""],
            "control_never_seen": ["", "", ""],
            "Sex": ["F"],
        }
        draft = self.drafted(state, model, tmp_path, content)
        assert draft.entries["means_of_control"].flags == {
            "means_of_control_debt_bondage": "debt_bondage",
            "means_of_control_threats": "threats_unspecified",
            "Control: Withholds documents": "withholds_documents",
        }

    def test_several_values_in_one_field_are_split(
        self, state: AgentState, model: DataModel, tmp_path: Path
    ) -> None:
        content = {
            "Means of control": [
                "Debt bondage;Threats",
                "Threats;Physical abuse;Debt bondage",
                "",
            ]
        }
        draft = self.drafted(state, model, tmp_path, content)
        entry = draft.entries["means_of_control"]
        assert entry.separator == ";"
        assert entry.codes == {
            "Debt bondage": ("debt_bondage",),
            "Physical abuse": ("physical_abuse",),
            "Threats": ("threats_unspecified",),
        }

    def test_consent_is_asked_for_and_never_taken_for_granted(
        self, state: AgentState, model: DataModel, tmp_path: Path
    ) -> None:
        content = {"Sex": ["F"], "con_Consent": ["true", "false", ""]}
        draft = self.drafted(state, model, tmp_path, content)
        draft.answer_person(ROW_NUMBER)
        (question,) = draft.questions()
        assert (question.kind, question.choices) == (Kind.CONSENT, ("false", "true"))
        with pytest.raises(DocumentError, match="open"):
            load_mapping(written(draft), "x.yaml", model)
        typed = iter(["perhaps", "3", "2"])
        ask_all(draft, lambda _: next(typed), lambda _: None)
        mapping = load_mapping(written(draft), "x.yaml", model)
        report = check(state, mapping, [tmp_path / "cases.csv"], LIMITS)
        assert (report.kept, report.refused) == (20, 40)
        other = self.drafted(state, model, tmp_path, content)
        typed = iter(["1", "-"])
        ask_all(other, lambda _: next(typed), lambda _: None)
        assert "consent" not in written(other)

    @pytest.mark.parametrize(
        ("texts", "comma"),
        [
            (["1,5", "20"], True),
            (["1,5", "1,234"], True),
            (["1,234", "20"], False),  # the British write a thousand so
            (["1.5", "20"], False),
        ],
    )
    def test_a_decimal_comma_is_one_that_groups_no_thousands(
        self,
        state: AgentState,
        model: DataModel,
        tmp_path: Path,
        texts: list[str],
        comma: bool,
    ) -> None:
        path = columns(tmp_path / "a.csv", {"Sex": ["F"], "Days in care": texts})
        draft = draft_mapping(state, Origin((path,)), model, person=ROW_NUMBER)
        assert draft.quantities == {"days_in_care": ("Days in care", comma)}

    def test_what_people_write_freely_is_not_shown(
        self, state: AgentState, model: DataModel, tmp_path: Path
    ) -> None:
        path = columns(
            tmp_path / "a.csv",
            {
                "Sex": ["F", "M"],
                "Consent": [f"{SECRET_NAMES[0]} on day {n}" for n in range(60)],
                "Nationality": ["Polish", *(f"{SECRET_NOTES} {n}" for n in range(59))],
                "Case status": ["Closed", f"{SECRET_NOTES} once", "Active"],
            },
        )
        draft = draft_mapping(state, Origin((path,)), model, person=ROW_NUMBER)
        text = written(draft)
        assert SECRET_NAMES[0] not in text
        assert draft.consent is not None
        assert not draft.consent.codes
        assert draft.entries["citizenship"].codes == {"Polish": ("POL",)}
        assert "which are not shown:\n  # 59." in text
        lines: list[str] = []
        ask_all(draft, lambda _: "", lines.append)
        assert "its texts are not shown" in " ".join(lines)
        assert Kind.CONSENT in {each.kind for each in draft.questions()}
        ask_all(draft, lambda _: "-" if draft.consent else "", lines.append)
        assert Kind.CONSENT not in {each.kind for each in draft.questions()}
        assert SECRET_NAMES[0] not in " ".join(lines)
        # Of few codes each is asked for.
        asked = [each.code for each in draft.questions() if each.kind is Kind.CODE]
        assert asked == [f"{SECRET_NOTES} once"]

    def test_numbered_columns_are_one_dimension(
        self, state: AgentState, model: DataModel, tmp_path: Path
    ) -> None:
        content = {
            "Nationality 1": ["Albanian", "NGA"],
            "Nationality 2": ["", "Polish"],
        }
        draft = self.drafted(state, model, tmp_path, content)
        entry = draft.entries["citizenship"]
        assert entry.columns == ("Nationality 1", "Nationality 2")
        assert entry.codes["Polish"] == ("POL",)

    def test_ages_in_years_are_bands(
        self, state: AgentState, model: DataModel, tmp_path: Path
    ) -> None:
        content = {"Age": ["7", "17", "18", "48", "99", "15-20", "under 9", "adult"]}
        draft = self.drafted(state, model, tmp_path, content)
        codes = draft.entries["age_band"].codes
        assert codes == {
            "7": ("0-8",),
            "17": ("9-17",),
            "18": ("18-20",),
            "48": ("48+",),
            "99": ("48+",),
            "15-20": (),
            "under 9": ("0-8",),
            "adult": ("18+",),
        }

    def test_codes_tell_a_column_that_its_name_does_not(
        self, state: AgentState, model: DataModel, tmp_path: Path
    ) -> None:
        content = {
            "Q17": ["Forced labour", "Sexual exploitation", "Domestic servitude"],
            "Q18": ["red", "blue"],
        }
        draft = self.drafted(state, model, tmp_path, content)
        entry = draft.entries["exploitation_type"]
        assert entry.column == "Q17"
        assert entry.note
        assert entry.note in written(draft)
        assert draft.maybe["Q18"] == ()

    def test_a_country_of_no_name_is_a_question(
        self, state: AgentState, model: DataModel, tmp_path: Path
    ) -> None:
        """It may be where somebody is from, or where it happened."""
        content = {"Q1": ["Poland", "Nigeria"], "Sex": ["F"]}
        draft = self.drafted(state, model, tmp_path, content)
        assert draft.maybe["Q1"] == ("citizenship", "country_of_exploitation")

    def test_names_that_stand_again_and_again_are_not_shown(
        self, state: AgentState, model: DataModel, tmp_path: Path
    ) -> None:
        content = {"Sex": ["F"], "Handled by": ["Kim Kowalski", "Ada Okafor"]}
        draft = self.drafted(state, model, tmp_path, content)
        assert "Kowalski" not in written(draft) + repr(draft)

    def test_several_files_are_one_source(
        self, state: AgentState, model: DataModel, tmp_path: Path
    ) -> None:
        one = columns(tmp_path / "a.csv", {"Sex": ["F"], "Extra": ["x"]})
        other = columns(tmp_path / "b.csv", {"Sex": ["M"]})
        draft = draft_mapping(state, Origin((one, other)), model)
        assert draft.entries["gender"].codes == {"F": ("woman",), "M": ("man",)}
        assert draft.header == ("Sex",)

    def test_a_workbook_is_looked_at(
        self, state: AgentState, model: DataModel, tmp_path: Path
    ) -> None:
        """Two sheets, one for each year, with real dates."""
        xlsxwriter = pytest.importorskip("xlsxwriter")
        file = tmp_path / "Fälle.xlsx"
        book = xlsxwriter.Workbook(str(file))
        day = book.add_format({"num_format": "dd/mm/yyyy"})
        for year in (2024, 2025):
            sheet = book.add_worksheet(str(year))
            sheet.write_row(0, 0, ["Aufnahmedatum", "Geschlecht", "Anzahl Kinder"])
            for row in range(1, 20):
                date = datetime.datetime(year, 3, row, tzinfo=None)  # noqa: DTZ001
                sheet.write_datetime(row, 0, date, day)
                sheet.write_row(
                    row, 1, ["weiblich" if row % 2 else "männlich", row % 4]
                )
        book.close()
        origin = Origin((file,))
        draft = draft_mapping(state, origin, model)
        assert draft.name == "f-lle"
        assert draft.entries["registered_month"].forms == ("%Y-%m-%d",)
        assert draft.quantities == {"number_of_children": ("Anzahl Kinder", False)}
        mapping = load_mapping(written(answered(draft)), "x.yaml", model)
        report = check(state, mapping, [file], LIMITS)
        assert (report.kept, report.refused) == (38, 0)

    def test_a_table_of_a_database_is_looked_at(
        self, state: AgentState, model: DataModel, tmp_path: Path
    ) -> None:
        pytest.importorskip("sqlalchemy")
        file = tmp_path / "cases.db"
        with contextlib.closing(sqlite3.connect(file)) as connection, connection:
            connection.execute(
                'CREATE TABLE "Case files" ("Client ID" INTEGER, "Sex" TEXT, '
                '"Intake date" TEXT, "Notes" TEXT, "Nationality" TEXT, "Photo" BLOB)'
            )
            connection.executemany(
                "INSERT INTO \"Case files\" VALUES (?, ?, ?, ?, 'Polish', x'ff00')",
                [
                    (n, "FM"[n % 2], f"2025-01-{n % 28 + 1:02}", SECRET_NOTES)
                    for n in range(90)
                ],
            )
        before = state.config.read_text("utf-8")
        state.config.write_text(
            before + f'\n[databases.own]\nurl = "sqlite:///{file}"\n', "utf-8"
        )
        try:
            origin = Origin(database="own", table="Case files")
            draft = draft_mapping(state, origin, model, person=("Client ID",))
            assert not list(draft.questions())
            text = written(draft)
            assert SECRET_NOTES not in text
            assert "which no mapping reads: Photo\n" in text
            assert "source: {database: own, table: Case files}" in text
            mapping = load_mapping(text, "x.yaml", model)
            report = check(state, mapping, [], LIMITS)
        finally:
            state.config.write_text(before, "utf-8")
        assert draft.name == "case-files"
        assert (report.kept, report.persons, report.refused) == (90, 90, 0)
        assert report.share_recorded("citizenship") == 1

    def test_columns_that_no_mapping_can_read_are_left_aside(
        self, state: AgentState, model: DataModel, tmp_path: Path
    ) -> None:
        path = tmp_path / "cases.parquet"
        duckdb.execute(
            "COPY (SELECT [1, 2] AS tags, 'FM'[i % 2 + 1] AS sex, 'x'::BLOB AS photo, "
            f"DATE '2025-01-05' AS intake_date FROM range(60) AS t(i)) TO '{path}'"
        )
        draft = draft_mapping(state, Origin((path,)), model, person=ROW_NUMBER)
        assert draft.formless == ("tags", "photo")
        assert set(draft.entries) == {"gender", "registered_month"}
        mapping = load_mapping(written(draft), "x.yaml", model)
        assert check(state, mapping, [path], LIMITS).kept == 60

    @pytest.mark.parametrize(
        "origin",
        [
            {},
            {"paths": (Path("a.csv"),), "database": "d", "table": "t"},
            {"database": "d"},
            {"table": "t"},
        ],
    )
    def test_a_source_is_files_or_a_table(self, origin: dict[str, Any]) -> None:
        with pytest.raises(InvalidQuery) as caught:
            Origin(**origin)
        assert caught.value.reason == "SOURCES_WRONG"

    def test_nothing_like_the_model_is_an_error(
        self, state: AgentState, model: DataModel, tmp_path: Path
    ) -> None:
        with pytest.raises(SourceError, match=r"No column of cases\.csv") as caught:
            self.drafted(state, model, tmp_path, {"Q1": ["red", "blue"]})
        assert caught.value.reason == "DRAFT_EMPTY"

    @pytest.mark.parametrize(
        ("encoding", "header", "man", "found"),
        [
            ("utf-8", "Geschlecht", "männlich", None),
            ("utf-16", "Geschlecht", "männlich", None),
            ("utf-16-le", "Geschlecht", "männlich", "utf-16-le"),
            ("utf-16-be", "Geschlecht", "männlich", "utf-16-be"),
            ("windows-1252", "Geschlecht", "männlich", "windows-1252"),
            ("windows-1251", "Пол", "мужской", "windows-1251"),
            ("windows-1256", "الجنس", "ذكر", "windows-1256"),
        ],
    )
    def test_the_encoding_is_found(
        self,
        state: AgentState,
        model: DataModel,
        tmp_path: Path,
        encoding: str,
        header: str,
        man: str,
        found: str | None,
    ) -> None:
        file = tmp_path / "cases.csv"
        write_table(file, [header], [[man], ["F"]], encoding=encoding)
        draft = draft_mapping(state, Origin((file,)), model)
        assert draft.form.encoding == found
        assert draft.entries["gender"].codes == {man: ("man",), "F": ("woman",)}

    def test_a_code_that_no_document_can_hold_is_left_out_and_told(
        self, state: AgentState, model: DataModel, tmp_path: Path
    ) -> None:
        content = {"Sex": ["F", "M", "\u202eM"], "\u200fAge": ["7"]}
        draft = self.drafted(state, model, tmp_path, content)
        assert draft.header == ("Sex",)
        assert set(draft.entries["gender"].codes) == {"F", "M"}
        text = written(answered(draft))
        assert "Sex has codes with invisible characters" in text
        load_mapping(text, "x.yaml", model)

    def test_persons_that_were_named_are_taken(
        self, state: AgentState, model: DataModel, tmp_path: Path
    ) -> None:
        file = columns(tmp_path / "a.csv", {"Sex": ["F"], "No.": ["1", "2"]})
        draft = draft_mapping(state, Origin((file,)), model, person=("No.",))
        assert not list(draft.questions())
        assert load_mapping(written(draft), "d.yaml", model).person_columns == ("No.",)
        with pytest.raises(InvalidQuery) as caught:
            draft_mapping(state, Origin((file,)), model, person=("Nr.",))
        assert caught.value.reason == "PERSON_COLUMN_UNKNOWN"

    def test_an_unknown_profile_is_refused(
        self, state: AgentState, model: DataModel, tmp_path: Path
    ) -> None:
        with pytest.raises(InvalidQuery, match="htcds, ctdc, uk-nrm, none"):
            draft_mapping(
                state, Origin((tmp_path / "x.csv",)), model, profile_name="htcd"
            )


_HOSTILE = st.text(min_size=1, max_size=30).filter(
    lambda text: not hidden_in(text) and text.strip()
) | st.sampled_from(
    [
        "TODO",
        "no",
        "null",
        "-",
        "#",
        "a: b",
        "{x}",
        "' OR 1=1",
        "=1+1",
        'say "x"',
        "\\",
        "طفل",
        "1e3",
        "0x1",
        "~",
        "*a",
        "&a",
        "!!x",
        "%d",
        "@",
        "[TODO]",
        ", TODO }",
    ]
)


class TestWriting:
    """Whatever stands in a file, the draft of it is a document."""

    @given(text=_HOSTILE)
    def test_any_text_is_read_back(self, text: str) -> None:
        found = plain_document(f"a: {{b: {quoted(text)}}}\n", "x.yaml")
        assert found == {"a": {"b": text}}

    @pytest.mark.parametrize("file", ["2026", "1e3", "0x1f", "true", "null", "x-1"])
    def test_a_file_may_be_called_by_its_year(self, file: str) -> None:
        model = sample_model()
        draft = answered(_with_codes(["F"], model))
        draft.name = Origin((Path(f"{file}.csv"),)).part
        assert load_mapping(written(draft), "x.yaml", model).name == file

    @given(codes=st.lists(_HOSTILE, min_size=1, max_size=6, unique_by=fold))
    def test_any_codes_make_a_mapping(self, codes: list[str]) -> None:
        model = sample_model()
        draft = _with_codes(codes, model)
        loaded = load_mapping(written(answered(draft)), "x.yaml", model)
        entry = loaded.form.dimensions["gender"]
        assert entry.codes is not None
        assert list(entry.codes) == codes

    @given(codes=st.lists(_HOSTILE, min_size=1, max_size=6, unique_by=fold))
    def test_an_open_code_is_always_refused(self, codes: list[str]) -> None:
        model = sample_model()
        draft = _with_codes(codes, model)
        draft.answer_person(ROW_NUMBER)
        questions = list(draft.questions())
        if not questions:
            load_mapping(written(draft), "x.yaml", model)
            return
        with pytest.raises(DocumentError) as caught:
            load_mapping(written(draft), "x.yaml", model)
        assert len(caught.value.problems) == len(questions)


def _with_codes(codes: list[str], model: DataModel) -> Draft:
    from accord.agent.drafting.draft import Entry, Proposal
    from accord.agent.sources.form import SourceForm

    placer = Placer(model.dimensions["gender"], shipped_words())
    return Draft(
        name="x",
        model=model,
        header=("Sex",),
        form=SourceForm(),
        profile=None,
        person=None,
        proposals=(Proposal(ROW_NUMBER),),
        case=(),
        consent=None,
        entries={
            "gender": Entry(
                column="Sex", codes={code: placer.place(code) for code in codes}
            )
        },
        quantities={},
        maybe={},
        unread=(),
        formless=(),
        hidden={},
    )


class TestPlacing:
    """Codes find their values."""

    def test_every_value_is_its_own_code(self, model: DataModel) -> None:
        for dimension in model.dimensions.values():
            if "year" in dimension.levels:
                continue
            placer = Placer(dimension, shipped_words())
            for level in dimension.levels:
                for node in dimension.domain(level):
                    if not node.endswith("?"):
                        assert placer.place(node) == (node,), dimension.name

    def test_no_word_of_one_dimension_means_two_values(self, model: DataModel) -> None:
        """A synonym that stands in two places would hide one of them."""
        words = shipped_words()
        for name, values in words.values.items():
            seen: dict[str, str] = {}
            for value, names in values.items():
                for each in names:
                    known = seen.setdefault("".join(each), value)
                    assert known == value, (name, each, value, known)

    def test_shipped_words_are_values_of_the_sample(self, model: DataModel) -> None:
        for name, values in shipped_words().values.items():
            for value in values:
                assert value in model.dimensions[name], (name, value)

    @given(one=st.text(max_size=20), other=st.text(max_size=20))
    def test_likeness_is_between_none_and_all(self, one: str, other: str) -> None:
        assert 0 <= alike(name_of(one), name_of(other)) <= 1
        assert alike(name_of(one), name_of(one)) == 1

    @given(code=st.text(max_size=40))
    def test_any_code_has_values_of_the_dimension_or_none(self, code: str) -> None:
        model = sample_model()
        for name in ("age_band", "citizenship", "gender", "means_of_control"):
            placer = Placer(model.dimensions[name], shipped_words())
            placed = placer.place(code)
            assert all(value in model.dimensions[name] for value in placed)
            assert len(placed) <= model.dimensions[name].max_values
            assert all(v in model.dimensions[name] for v in placer.nearest(code))


@dataclasses.dataclass
class Score:
    """How much of a mapping made by people a draft has, with nobody asked."""

    columns: int = 0
    columns_right: int = 0
    codes: int = 0
    codes_right: int = 0
    codes_open: int = 0

    @property
    def codes_wrong(self) -> int:
        return self.codes - self.codes_right - self.codes_open


def score(draft: Draft, reference: MappingForm, model: DataModel) -> Score:
    """Compare a draft with a mapping, for the columns that the source has."""
    found = Score()
    for name, entry in reference.dimensions.items():
        mine = draft.entries.get(name)
        for column in _columns_of(entry):
            if column not in draft.header:
                continue
            found.columns += 1
            found.columns_right += mine is not None and column in mine.reads
        _score_codes(found, model.dimensions[name], entry, draft)
    for name, quantity in reference.quantities.items():
        if quantity.column in draft.header:
            found.columns += 1
            mine_too = draft.quantities.get(name, ("",))[0]
            found.columns_right += mine_too == quantity.column
    return found


def _score_codes(
    found: Score, dimension: Dimension, entry: DimensionEntry, draft: Draft
) -> None:
    mine = draft.entries.get(dimension.name)
    for column, value in (entry.flags or {}).items():
        if column in draft.header:
            found.codes += 1
            found.codes_right += mine is not None and mine.flags.get(column) == value
    if mine is None or entry.codes is None:
        return
    meant = {
        fold(code): {dimension.code(value) for value in values}
        for code, values in entry.codes.items()
    }
    for code, placed in mine.codes.items():
        if fold(code) in meant:
            found.codes += 1
            found.codes_open += not placed
            found.codes_right += {dimension.code(value) for value in placed} == (
                meant[fold(code)]
            )


def _columns_of(entry: DimensionEntry) -> Iterator[str]:
    yield from (each for each in (entry.column, entry.birth_date, entry.at) if each)
    yield from entry.columns or ()
    yield from entry.flags or ()


def htcds_rows(path: Path, shared_data: Path, header: str, values: str) -> Path:
    """Write case files in the columns of the standard, with all its codes."""
    content: dict[str, list[str]] = {}
    with (shared_data / "htcds_2.0_fields.csv").open(encoding="utf-8-sig") as stream:
        for field in csv.DictReader(stream):
            prefix = field["Field Name Prefix"]
            label = field["Field Name including Prefix"]
            if header == "label" and prefix in {"org_", "spl_", "per_", "con_"}:
                continue  # their labels repeat those of other tables
            named = field["Field Label"].strip() if header == "label" else label
            content.setdefault(named, _htcds_codes(field, values))
    return columns(path, content, rows=400)


def _htcds_codes(field: dict[str, str], values: str) -> list[str]:
    listed = [text.strip() for text in field[values].splitlines() if text.strip()]
    kind, name = field["Field Type"], field["Field Name"]
    if len(listed) > 1:
        return listed
    if kind == "Date":
        return ["1990-05-31", "2001-12-24"] if "Birth" in name else ["2024-02-29"]
    if kind == "Checkbox":
        return ["true", "false"]
    if "Country" in name or "Citizenship" in name:
        return ["NGA", "POL", "VNM"]
    if kind == "Number":
        return ["3", "17", "25"] if "Age" in name else ["0", "1", "2"]
    return [f"text {number}" for number in range(400)]


@pytest.mark.slow
class TestRealSources:
    """What share is right without a question, with and without a profile.

    Of the two nationalities in one field and all other codes of the referrals nothing
    is known beforehand but the adjectives, which are those of the shipped mapping.
    """

    SOURCES = {
        "ctdc": "ctdc_global_synthetic_20210825.csv.gz",
        "uk-nrm": "uk_nrm_leaf_2022Q2_2023Q4.csv",
    }

    def reference(self, name: str) -> MappingForm:
        file = ROOT / "policies" / "mappings" / PROFILES[name]
        return parse_document(file.read_text("utf-8"), MappingForm, source=file.name)

    @pytest.mark.parametrize("name", SOURCES)
    def test_a_profile_is_recognised_and_complete(
        self, name: str, shared_data: Path, state: AgentState, model: DataModel
    ) -> None:
        draft = draft_mapping(state, Origin((shared_data / self.SOURCES[name],)), model)
        assert draft.profile == name
        found = score(draft, self.reference(name), model)
        assert found.columns_right == found.columns > 0
        assert found.codes_right == found.codes > 0
        (question,) = draft.questions()
        assert question.kind is Kind.PERSON
        assert draft.proposals[0].person == ROW_NUMBER

    @pytest.mark.parametrize(
        ("name", "columns_right", "columns_all", "codes_all"),
        [("ctdc", 37, 37, 48), ("uk-nrm", 5, 6, 514)],
    )
    def test_a_form_that_nobody_knows(
        self,
        name: str,
        columns_right: int,
        columns_all: int,
        codes_all: int,
        shared_data: Path,
        state: AgentState,
        model: DataModel,
    ) -> None:
        """No profile: by names, forms and codes alone."""
        file = shared_data / self.SOURCES[name]
        draft = draft_mapping(state, Origin((file,)), model, profile_name=NO_PROFILE)
        found = score(draft, self.reference(name), model)
        assert (found.columns_right, found.columns) == (columns_right, columns_all)
        assert (found.codes, found.codes_wrong, found.codes_open) == (codes_all, 0, 0)

    @pytest.mark.parametrize(
        ("header", "values", "expected"),
        [
            ("name", "Value Names (if picklist)", (17, 17, 116, 116, 0)),
            ("label", "Value Labels (if picklist)", (17, 16, 93, 93, 0)),
        ],
    )
    def test_the_standard_without_its_profile(
        self,
        header: str,
        values: str,
        expected: tuple[int, ...],
        tmp_path: Path,
        shared_data: Path,
        state: AgentState,
        model: DataModel,
    ) -> None:
        """Columns and codes of HTCDS 2.0, by the names of its list of fields."""
        file = htcds_rows(tmp_path / "cases.csv", shared_data, header, values)
        draft = draft_mapping(state, Origin((file,)), model, profile_name=NO_PROFILE)
        reference = _renamed(self.reference("htcds"), shared_data, header)
        found = score(draft, reference, model)
        assert dataclasses.astuple(found) == expected

    def test_the_standard_is_recognised(
        self, tmp_path: Path, shared_data: Path, state: AgentState, model: DataModel
    ) -> None:
        values = "Value Names (if picklist)"
        file = htcds_rows(tmp_path / "cases.csv", shared_data, "name", values)
        draft = draft_mapping(state, Origin((file,)), model)
        assert draft.profile == "htcds"
        assert draft.proposals[0].person == (
            "prs_FirstName",
            "prs_SecondName",
            "prs_Birthdate",
        )


def _renamed(form: MappingForm, shared_data: Path, header: str) -> MappingForm:
    """Return the mapping with the labels of its columns."""
    if header == "name":
        return form
    with (shared_data / "htcds_2.0_fields.csv").open(encoding="utf-8-sig") as stream:
        labels = {
            field["Field Name including Prefix"]: field["Field Label"].strip()
            for field in csv.DictReader(stream)
        }

    def renamed(content: Any) -> Any:  # noqa: ANN401 - what YAML holds
        if isinstance(content, dict):
            return {key: renamed(value) for key, value in content.items()}
        if isinstance(content, list):
            return [renamed(each) for each in content]
        return labels.get(content, content) if isinstance(content, str) else content

    content = form.model_dump(exclude_unset=True)
    for part in ("dimensions", "quantities"):
        content[part] = renamed(content[part])
    return MappingForm.model_validate(content)
