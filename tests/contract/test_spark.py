# SPDX-License-Identifier: Apache-2.0
"""How an agent reaches a Spark cluster, and what it says where it cannot."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from accord.agent.settings import Database
from accord.agent.sources import spark as reaching
from accord.agent.sources.access import Access
from accord.agent.sources.rights import rights
from accord.agent.sources.spark import spark_in
from accord.core.errors import AccordError
from tests.contract.spark import SparkServer, spark

__all__ = ["spark"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def with_entries(access: Access, **entries: str) -> Access:
    database = access.database.model_copy(update=entries)
    return dataclasses.replace(access, database=database)


def refusal(access: Access) -> AccordError:
    with pytest.raises(AccordError) as caught:
        access.reach()
    return caught.value


def test_a_cluster_takes_whom_its_token_lets_in(
    spark: SparkServer, tmp_path: Path
) -> None:
    spark.access().reach()
    wrong = tmp_path / "token"
    wrong.write_text("0" * 64, encoding="ascii")
    wrong.chmod(0o600)
    error = refusal(dataclasses.replace(spark.access(), folder=tmp_path))
    assert error.reason == "DATABASE_LOGIN"
    no_token = Access(name="own", database=Database(url=spark.url), folder=tmp_path)
    assert refusal(no_token).reason == "DATABASE_LOGIN"


def test_a_catalog_can_be_named(spark: SparkServer) -> None:
    access = spark.access()
    with spark_in(with_entries(access, url=f"{spark.url}/spark_catalog")) as session:
        assert session.rows("SELECT current_catalog()") == [["spark_catalog"]]
    error = refusal(with_entries(access, url=f"{spark.url}/nowhere"))
    assert error.reason == "DATABASE_UNREACHABLE"


def test_what_fails_is_said_without_a_value(spark: SparkServer) -> None:
    with spark_in(spark.access()) as session:
        for text, word in (
            ("SELECT CAST('Ariadne' AS INT)", "CAST_INVALID_INPUT"),
            ("SELECT 1 FROM ariadne", "TABLE_OR_VIEW_NOT_FOUND"),
            ("SELECT 9223372036854775807 + 1", "ARITHMETIC_OVERFLOW"),
        ):
            with pytest.raises(AccordError) as caught:
                session.rows(text)
            assert caught.value.reason == "DATABASE_FAILED"
            assert word in caught.value.sentence
            assert "ariadne" not in caught.value.sentence.lower()
        assert session.rows("SELECT 1, NULL, 3BD, 'x'") == [[1, None, 3, "x"]]
        assert session.columns("`nowhere`.`ariadne`") == []


def test_a_cluster_shows_its_tables_and_tells_no_rights(spark: SparkServer) -> None:
    with spark_in(spark.access()) as session:
        session.rows("CREATE SCHEMA of_cases")
        session.rows("CREATE TABLE of_cases.shown (a INT)")
    found = rights(spark.access())
    assert "of_cases.shown" in [one.name for one in found.readable]
    assert not found.told
    assert not found.beyond


@contextlib.contextmanager
def tls_before(port: int, leaf: trustme.LeafCert) -> Iterator[int]:
    """Speak TLS on a port of its own, and pass on what is inside."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    context.set_alpn_protocols(["h2"])
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    plain, _ = listener.accept()
                    threading.Thread(target=between, args=[plain], daemon=True).start()

        def between(plain: socket.socket) -> None:
            with (
                contextlib.suppress(OSError),
                plain,
                context.wrap_socket(plain, server_side=True) as outer,
                socket.create_connection(("127.0.0.1", port)) as inner,
            ):
                back = threading.Thread(target=pump, args=(inner, outer))
                back.start()
                pump(outer, inner)
                back.join()

        serving = threading.Thread(target=serve)
        serving.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        serving.join()


def pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


def test_over_tls_a_cluster_proves_who_it_is(
    spark: SparkServer, tmp_path: Path
) -> None:
    """A file of authorities asks for TLS also on this machine."""
    ours, others = trustme.CA(), trustme.CA()
    files = {"ours": tmp_path / "ours.pem", "others": tmp_path / "others.pem"}
    ours.cert_pem.write_to_path(str(files["ours"]))
    others.cert_pem.write_to_path(str(files["others"]))
    access = spark.access()
    with tls_before(spark.port, ours.issue_cert("127.0.0.1")) as port:
        url = f"sc://127.0.0.1:{port}"
        with_entries(access, url=url, ca_file=str(files["ours"])).reach()
        error = refusal(with_entries(access, url=url, ca_file=str(files["others"])))
        assert error.reason == "DATABASE_TLS"
    with tls_before(spark.port, ours.issue_cert("spark.example.org")) as port:
        url = f"sc://127.0.0.1:{port}"
        error = refusal(with_entries(access, url=url, ca_file=str(files["ours"])))
        assert error.reason == "DATABASE_TLS"
    plain = with_entries(access, ca_file=str(files["ours"]))
    assert refusal(plain).reason == "DATABASE_TLS"


def test_a_server_that_says_nothing_is_waited_for_a_while(
    spark: SparkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaching, "CONNECT_SECONDS", 5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"sc://127.0.0.1:{silent.getsockname()[1]}"
        error = refusal(with_entries(spark.access(), url=url))
    assert error.reason == "DATABASE_UNREACHABLE"
