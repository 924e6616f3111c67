# SPDX-License-Identifier: Apache-2.0
"""All questions and releases of an agreement, as files for the public."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import stat
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from accord.core.errors import AccordError, ConfigurationError
from accord.core.query import Kind
from accord.hub.cli import app
from accord.hub.db.engine import Store
from accord.hub.log import tree
from accord.hub.state import State
from accord.hub.transparency.markup import Markup, element, joined
from accord.hub.transparency.publication import Words
from accord.hub.transparency.release_table import release_table
from accord.hub.transparency.words import Speech, count, figure, spent
from accord.v1 import analyst_pb2, common_pb2
from tests.unit.hub.scripted import refusing
from tests.unit.hub.world import (
    AGREEMENT,
    World,
    a_query,
    a_submission,
    add_analyst,
    call,
    finished,
)

EVIL = "<script>alert(1)</script>"
NAME = "maria-somebody"


def exported(state: State, folder: Path, *options: str) -> list[str]:
    """Export as the operator does, and return the names of the files."""
    arguments = ["export", AGREEMENT, str(folder), "--json", *options]
    found = CliRunner().invoke(app, [*arguments, "--state", str(state.root)])
    if found.exception is not None:
        raise found.exception
    names: list[str] = json.loads(found.stdout)["files"]
    return names


async def busy(world: World) -> analyst_pb2.Release:
    """Let questions be answered, repeated, refused and lost."""
    await world.all_agents()
    stub = world.analyst(add_analyst(world.state, NAME))
    by = [
        common_pb2.Grouping(dimension="gender"),
        common_pb2.Grouping(dimension="age_band", level="broad"),
    ]
    first = a_submission(2.0, query=a_query(group_by=by))
    await call(stub.SubmitQuery(first))
    release = (await finished(stub, first.id)).reply.release
    await call(stub.SubmitQuery(a_submission(1.0, query=a_query(group_by=by))))
    evil = common_pb2.Filter(dimension="region", values=["nowhere", EVIL])
    for request in (
        a_submission(1.0, query=a_query(where=[evil])),
        a_submission(1.0, purpose=EVIL),
        a_submission(50.0),
        a_submission(1.0, query=a_query(measure=EVIL)),
    ):
        with pytest.raises(AccordError):
            await call(stub.SubmitQuery(request))
    whole = a_submission(0.5, query=a_query(group_by=[]))
    await call(stub.SubmitQuery(whole))
    await finished(stub, whole.id)
    await world.agent("city-police", refusing)
    lost = a_submission(0.4, complete_only=True)
    await call(stub.SubmitQuery(lost))
    assert (await finished(stub, lost.id)).state == analyst_pb2.SUBMISSION_STATE_FAILED
    return release


class Reader(HTMLParser):
    """Checks that every element ends where it should."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.links: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        named = dict(attrs)
        assert not any(name.startswith("on") or name == "style" for name in named)
        assert not {"src", "srcset"} & named.keys()
        self.ids.add(named.get("id") or "")
        self.links.add(named.get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


async def test_everything_is_there_and_nobody_is_named(
    world: World, tmp_path: Path
) -> None:
    release = await busy(world)
    folder = tmp_path / "public" / "export"
    names = exported(world.state, folder)
    assert names == sorted(
        each.relative_to(folder).as_posix()
        for each in folder.rglob("*")
        if each.is_file()
    )
    whole = "".join((folder / name).read_text() for name in names)
    for secret in (NAME, EVIL, "nowhere", "alert(1)"):
        assert secret not in whole
    assert not re.search(r"\d\d:\d\d", whole.split("</style>")[1]), "a time of day"
    assert str(release.released_at) not in whole

    content = json.loads((folder / "export.json").read_text())
    outcomes = [each["outcome"] for each in content["questions"]]
    assert outcomes == [
        "released",
        "from-archive",
        "refused",
        "refused",
        "refused",
        "refused",
        "released",
        "failed",
    ]
    questions = content["questions"]
    assert questions[2]["query"]["where"] == [
        {"dimension": "region", "values": [None, None]}
    ]
    assert questions[3]["purpose"] is None
    assert questions[3]["clauses"] == ["deny.purpose"]
    assert questions[4]["clauses"] == ["deny.release-cost"]
    assert questions[5]["query"]["measure"] is None
    assert questions[7]["reason"] == "AGENCY_REFUSED"
    assert [each["epsilon"] > 0 for each in questions] == [
        each == "released" for each in outcomes
    ]
    assert {each["organisation"] for each in questions} == {"observatory"}
    assert content["spent_epsilon"] == pytest.approx(
        content["budget"][0]["spent_epsilon"]
    )
    assert content["spent_epsilon"] > release.cost.epsilon

    first = content["releases"][0]
    kept = release.SerializeToString(deterministic=True)
    assert hashlib.sha256(kept).hexdigest() == first["sha256"]
    store = Store(world.state.database)
    with store.read() as tx:
        assert content["log"]["root"] == tree.root(tx, content["log"]["size"]).hex()
    store.close()
    assert content["log"]["root"] in (folder / "index.html").read_text()
    table = folder / "releases" / f"{release.id}.csv"
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    assert len(rows) == len(release.rows)
    for read, row in zip(rows, release.rows, strict=True):
        assert (read["age_band"], read["gender"]) == tuple(row.values)
        if row.estimate.suppressed:
            assert (read["estimate"], read["suppressed"]) == ("", "True")
        else:
            assert float(read["estimate"]) == row.estimate.estimate


async def test_the_page_stands_alone(world: World, tmp_path: Path) -> None:
    release = await busy(world)
    exported(world.state, tmp_path / "export")
    text = (tmp_path / "export" / "index.html").read_text()
    reader = Reader()
    reader.feed(text)
    assert not reader.open
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "")
    inside = {link.removeprefix("#") for link in reader.links if link}
    assert inside <= reader.ids
    assert f"release-{release.id}" in inside
    style = re.search(r"<style>(.*)</style>", text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src &#x27;sha256-{digest}&#x27;" in text
    assert '<html lang="en" dir="ltr">' in text
    for said in (
        "persons, by age_band (broad), gender, edition 2026-09",
        "refused: the purpose is not in the agreement",
        "no answer: an agency declined, and no smaller group may answer",
        "answered from an earlier release",
        "another purpose",
        "only region: (another word), (another word)",
    ):
        assert said in text, said


async def test_an_older_export_is_replaced_and_nothing_else(
    world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    exported(world.state, folder)
    (folder / "releases" / "gone.csv").write_text("of an older export")
    exported(world.state, folder)
    assert not (folder / "releases" / "gone.csv").exists()
    mode = stat.S_IMODE((folder / "index.html").stat().st_mode)
    assert mode == 0o644
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ConfigurationError) as caught:
        exported(world.state, folder)
    assert caught.value.reason == "EXPORT_FOLDER_USED"
    other = tmp_path / "home"
    other.mkdir()
    (other / "index.html").write_text("mine")
    with pytest.raises(ConfigurationError) as caught:
        exported(world.state, other)
    assert caught.value.reason == "EXPORT_FOLDER_USED"
    assert (other / "index.html").read_text() == "mine"
    with pytest.raises(ConfigurationError) as caught:
        exported(world.state, other / "index.html" / "below")
    assert caught.value.reason == "EXPORT_UNWRITABLE"


def test_languages_without_a_catalogue_are_refused(
    state: State, tmp_path: Path
) -> None:
    with pytest.raises(Exception, match="no catalogue"):
        exported(state, tmp_path / "export", "--language", "tlh")


def test_what_is_put_in_cannot_break_out() -> None:
    made = element("p", EVIL, title=f'"{EVIL}', hidden=True, id=None)
    assert made == (
        '<p title="&quot;&lt;script&gt;alert(1)&lt;/script&gt;" hidden>'
        "&lt;script&gt;alert(1)&lt;/script&gt;</p>"
    )
    assert joined(Markup("<br>"), "<br>") == "<br>&lt;br&gt;"
    assert isinstance(joined("a"), Markup)


def test_numbers_as_people_read_them() -> None:
    shown = [count(each) for each in (0, -0.04, 7, 12.34, -3.06, 99.96, 1234.5, -250.4)]
    assert shown == ["0", "0", "7", "12.3", "-3.1", "100", "1234", "-250"]
    assert [spent(each) for each in (0, 0.001, 1.0, 2.999, 3.0000000001)] == [
        *("0", "0.01", "1", "3", "3"),
    ]
    assert [figure(each, "share") for each in (-0.0003, 0.0, 0.25, -0.012)] == [
        *("0.0 %", "0.0 %", "25.0 %", "-1.2 %"),
    ]


@pytest.mark.parametrize(
    ("measure", "words"),
    [
        ("persons", "persons"),
        ("cases", "cases"),
        ("sum(days_in_care)", "sum of days_in_care"),
        ("mean(days_in_care)", "mean of days_in_care"),
        ("quantile(days_in_care)", "cases in each range of days_in_care"),
        (
            "share(region:country)",
            "share of persons with each value of region (country)",
        ),
        ("values(region)", "persons by how many values of region they have"),
    ],
)
def test_every_measure_has_words(measure: str, words: str) -> None:
    asked = Words(measure=measure, by=(("gender", ""),), where=(), edition="")
    assert Speech("en").question(asked) == f"{words}, by gender"


def test_every_kind_of_measure_is_in_the_catalogue() -> None:
    for kind in Kind:
        assert Speech("en").known(f"measure.{kind.value}", of="x"), kind


def a_share() -> analyst_pb2.Release:
    """Return shares by gender: one cell has a figure for each value and one more."""

    def row(value: str, **estimate: object) -> analyst_pb2.Row:
        shown = analyst_pb2.Estimate(**estimate)  # type: ignore[arg-type]  # by name
        return analyst_pb2.Row(values=["woman", value], estimate=shown)

    return analyst_pb2.Release(
        measure="share(means_of_control)",
        by=[common_pb2.Grouping(dimension="gender")],
        slot_dimension="means_of_control",
        unit="share",
        level=0.95,
        rows=[
            row("violence", estimate=0.25, lower=0.205, upper=0.29),
            row("threats", suppressed=True, why="denominator"),
            row("unknown", suppressed=True, why="no-information"),
        ],
        persons=analyst_pb2.Estimate(estimate=130, lower=100, upper=160),
        dropped=analyst_pb2.Estimate(suppressed=True, why="small"),
    )


def test_shares_have_a_column_for_every_value_and_are_parts_of_a_hundred() -> None:
    page = str(release_table(Speech("en"), a_share()))
    head, *rows = re.findall(r"<tr.*?</tr>", page, re.DOTALL)
    assert "means_of_control" in head
    for line in rows[:3]:
        assert len(re.findall(r"<th\b", line)) == 2
    assert len(re.findall(r"<t[hd]\b", head)) == len(re.findall(r"<t[hd]\b", rows[0]))
    assert "25.0 %" in rows[0]
    assert "20.5 % … 29.0 %" in rows[0]
    assert "divided by" in rows[1]
    assert "nothing is said" in rows[2]
    assert "130" in rows[3]
    assert "%" not in rows[3]


async def test_files_of_shares_name_every_column(world: World, tmp_path: Path) -> None:
    await world.all_agents()
    stub = world.analyst(add_analyst(world.state, NAME))
    query = a_query(
        measure="share(means_of_control)",
        group_by=[common_pb2.Grouping(dimension="gender")],
    )
    asked = a_submission(2.0, query=query)
    await call(stub.SubmitQuery(asked))
    release = (await finished(stub, asked.id)).reply.release
    folder = tmp_path / "public"
    exported(world.state, folder)
    file = folder / "releases" / f"{release.id}.csv"
    head, *rows = csv.reader(io.StringIO(file.read_text(encoding="utf-8")))
    assert head[:3] == ["gender", "means_of_control", "estimate"]
    assert len(rows) == len(release.rows)
    assert {len(row) for row in rows} == {len(head)}
    (found,) = json.loads((folder / "export.json").read_text())["releases"]
    assert found["columns"] == ["gender", "means_of_control"]
    assert found["unit"] == "share"
    assert {len(row["values"]) for row in found["rows"]} == {2}
