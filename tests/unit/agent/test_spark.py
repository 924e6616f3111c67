# SPDX-License-Identifier: Apache-2.0
"""Spark clusters in the settings, and what is said of them without one.

What needs a cluster is in tests/contract/test_spark.py.
"""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import grpc
import pytest

from accord.agent.doctor.standing import databases
from accord.agent.settings import Database, load_settings
from accord.agent.sources import spark_child
from accord.agent.sources.access import Access
from accord.agent.sources.grants import cluster_grants, grants
from accord.agent.sources.spark import _way
from accord.agent.state import AgentState
from accord.core.errors import AccordError, ConfigurationError
from tests.unit.agent.agencies import new_state
from tests.unit.agent.command import Command


def access(folder: Path, url: str = "sc://spark.example.org", **entries: str) -> Access:
    database = Database.model_validate({"url": url} | entries)
    return Access(name="lake", database=database, folder=folder)


def token_in(folder: Path) -> str:
    file = folder / "token"
    file.write_text("opens nothing\n", encoding="ascii")
    file.chmod(0o600)
    return file.name


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ('url = "sc://spark.example.org/;use_ssl=true"', "options behind a ;"),
        ('url = "sc://spark.example.org?token=x"', "options behind a ?"),
        ('url = "sc://u:secret@spark.example.org"', "a password stands in the URL"),
        ('url = "sc://spark.example.org/a/b"', "sc://HOST:PORT/CATALOG"),
        ('url = "sc://"', "sc://HOST:PORT"),
        ('url = "sc://spark.example.org"\nsocket = "/run/s"', "has no socket"),
    ],
)
def test_a_url_names_a_place_and_nothing_else(
    tmp_path: Path, entries: str, words: str
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f"[databases.lake]\n{entries}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(config, {})
    assert caught.value.reason == "SETTINGS_INVALID"
    assert words in caught.value.sentence
    assert "secret" not in caught.value.sentence


def test_the_way_to_a_cluster_is_that_of_the_settings(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("certificates", encoding="ascii")
    token = token_in(tmp_path)
    far = access(
        tmp_path,
        "sc://ana@spark.example.org:443/lake",
        ca_file=authority.name,
        password_file=token,
    )
    assert _way(far) == {
        "target": "spark.example.org:443",
        "user": "ana",
        "token": "opens nothing",
        "authorities": "certificates",
        "nearby": False,
        "catalog": "lake",
    }
    near = _way(access(tmp_path, "sc://[::1]"))
    assert near["target"] == "[::1]:15002"
    assert near["user"] == "accord_agent"
    assert near["authorities"] is None
    assert near["nearby"]
    assert near["catalog"] is None
    open_way = _way(access(tmp_path, tls="off"))
    assert open_way["authorities"] is None


def test_no_token_and_no_trust_is_given_away(tmp_path: Path) -> None:
    token = token_in(tmp_path)
    (tmp_path / "odd.pem").write_bytes(b"\xff\xfe")
    for entries in (
        {"tls": "off", "password_file": token},
        {"tls": "encrypt"},
        {"ca_file": "nowhere.pem"},
        {"ca_file": "odd.pem"},
    ):
        with pytest.raises(ConfigurationError) as caught:
            access(tmp_path, **entries).reach()
        assert caught.value.reason == "DATABASE_TLS"


def test_no_record_is_read_out_of_a_cluster(tmp_path: Path) -> None:
    lake = access(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        grants(lake, "cases", ["a"])
    assert caught.value.reason == "DATABASE_COUNTS_ONLY"
    with pytest.raises(ConfigurationError) as caught, lake.connected():
        pass
    assert caught.value.reason == "DATABASE_COUNTS_ONLY"


def test_rights_are_printed_as_they_were_read(tmp_path: Path) -> None:
    """No test runs them: ``ACCORD_GOLDEN=write`` writes the file anew."""
    catalogued = access(tmp_path, "sc://o%60hara@spark.example.org/lake")
    lines = [
        *cluster_grants(catalogued, "accord"),
        *cluster_grants(access(tmp_path), None),
    ]
    text = "\n".join(lines) + "\n"
    golden = Path(__file__).parents[2] / "golden" / "databases" / "grants.spark.sql"
    if os.environ.get("ACCORD_GOLDEN") == "write":
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_the_command_needs_no_mapping_of_a_cluster_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = Command(monkeypatch, capsys)
    state = new_state(tmp_path / "state")
    with state.config.open("a", encoding="utf-8") as file:
        file.write('[databases.lake]\nurl = "sc://spark.example.org"\n')
        file.write('[databases.office]\nurl = "postgresql://db.example.org/office"\n')
    words = ("databases", "grants", "--state", state.root)
    found = json.loads(command(*words, "lake", "--json").stdout)
    assert "GRANT USE SCHEMA, SELECT ON SCHEMA `default`" in found["statements"][1]
    refused = command(*words, "office")
    assert refused.status
    assert "--mapping" in refused.stderr


def test_without_its_client_an_agent_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that would talk to the cluster finds no pyspark."""
    shadow = tmp_path / "shadow" / "pyspark"
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").write_text("raise ImportError\n", encoding="ascii")
    monkeypatch.setenv("PYTHONPATH", str(shadow.parent))
    with pytest.raises(ConfigurationError) as caught:
        access(tmp_path, "sc://127.0.0.1:9").reach()
    assert caught.value.reason == "DATABASE_DRIVER"
    assert "accord-agent[spark]" in caught.value.sentence


def test_a_cluster_that_is_away_is_said_to_be(
    tmp_path: Path,
) -> None:
    for name in ("pyspark", "pandas", "pyarrow", "zstandard"):
        pytest.importorskip(name, reason=f"{name}, for Spark's client, is not there")
    with pytest.raises(AccordError) as caught:
        access(tmp_path, "sc://127.0.0.1:9").reach()
    assert caught.value.reason == "DATABASE_UNREACHABLE"


class Complaint(Exception):
    """An error as Spark's client makes them."""

    def __init__(self, text: str, **said: str) -> None:
        super().__init__(text)
        self.said = said

    def getGrpcStatusCode(self) -> grpc.StatusCode:
        return grpc.StatusCode[self.said.get("status", "INTERNAL")]

    def getCondition(self) -> str | None:
        return self.said.get("condition")

    def getSqlState(self) -> str | None:
        return self.said.get("state")


@pytest.mark.parametrize(
    ("error", "kind", "word"),
    [
        (Complaint("x", status="UNAUTHENTICATED"), "login", "UNAUTHENTICATED"),
        (Complaint("x", status="PERMISSION_DENIED"), "rights", "PERMISSION_DENIED"),
        (Complaint("x", condition="A_RIGHT", state="42501"), "rights", "A_RIGHT"),
        (
            Complaint("org.apache.hadoop.security.AccessControlException: Ariadne"),
            "rights",
            "INTERNAL",
        ),
        (Complaint("Connection refused", status="UNAVAILABLE"), "away", "UNAVAILABLE"),
        (
            Complaint("Tls handshake failed (TSI_X)", status="UNAVAILABLE"),
            "tls",
            "UNAVAILABLE",
        ),
        (Complaint("Ariadne", condition="CAST_INVALID"), "failed", "CAST_INVALID"),
        (ValueError("Ariadne"), "failed", "ValueError"),
        (ImportError("pandas"), "driver", "ImportError"),
    ],
)
def test_a_complaint_is_a_word(error: Exception, kind: str, word: str) -> None:
    assert spark_child.fault(error) == {"fault": kind, "word": word}


def test_the_process_of_a_session_goes_on_after_a_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Rows:
        def collect(self) -> list[tuple[int, None]]:
            return [(2**62, None)]

    class Spark:
        stopped = False

        def sql(self, text: str) -> Rows:
            if text == "wrong":
                raise Complaint("Ariadne", condition="PARSE_SYNTAX_ERROR")
            return Rows()

        def stop(self) -> None:
            self.stopped = True

    made = Spark()
    lines = [{"target": "x"}, ["rows", "wrong"], ["rows", "right"]]
    text = "".join(json.dumps(each) + "\n" for each in lines)
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    monkeypatch.setattr(spark_child, "connected", lambda _: made)
    spark_child.answer()
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"value": None},
        {"fault": "failed", "word": "PARSE_SYNTAX_ERROR"},
        {"value": [[2**62, None]]},
    ]
    assert made.stopped


def test_the_doctor_looks_at_clusters_too(tmp_path: Path) -> None:
    state: AgentState = new_state(tmp_path)
    with state.config.open("a", encoding="utf-8") as file:
        file.write(
            '[databases.lake]\nurl = "sc://spark.example.org"\ntls = "encrypt"\n'
        )
    (found,) = databases(state)
    assert "DATABASE_TLS" in str(found)
