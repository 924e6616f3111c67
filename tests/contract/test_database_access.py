# SPDX-License-Identifier: Apache-2.0
"""Who may read what of a database, over which connection, and what is said of it.

A server that listens on this machine is reached from "elsewhere" by the address
0.0.0.0, which is none of the loopback addresses and leads here all the same.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from accord.agent.settings import Database
from accord.agent.sources.access import Access
from accord.agent.sources.database import open_database_table
from accord.agent.sources.grants import grants
from accord.agent.sources.rights import rights
from accord.core.errors import AccordError, SourceError
from tests.contract.mariadb import (
    MariadbServer,
    MariadbUnavailableError,
    mariadb,
    server,
)
from tests.contract.postgres import (
    Cluster,
    PostgresUnavailableError,
    cluster,
    postgres,
)

__all__ = ["mariadb", "postgres"]

ELSEWHERE = "0.0.0.0"  # noqa: S104 - nobody listens there

COLUMNS = ["number", "first name", "updated"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A database with a table `case files`, and an administrator."""

    kind: str
    user: str
    password: str
    port: int
    name: str
    run: Callable[[str], object]
    folder: Path

    def access(
        self,
        user: str | None = None,
        password: str | None = None,
        host: str = "127.0.0.1",
        name: str | None = None,
        **entries: object,
    ) -> Access:
        secret = self.folder / "password"
        secret.touch(0o600)
        secret.write_text(f"{password or self.password}\n", encoding="utf-8")
        url = f"{self.kind}://{user or self.user}@{host}:{self.port}"
        content = {"url": f"{url}/{name or self.name}", "password_file": "password"}
        database = Database.model_validate(content | entries)
        return Access(name="office", database=database, folder=self.folder)


def of_postgresql(
    running: Cluster, folder: Path
) -> contextlib.AbstractContextManager[Served]:
    import psycopg

    @contextlib.contextmanager
    def opened() -> Iterator[Served]:
        url = running.database(driver="postgresql")
        user, _, rest = url.removeprefix("postgresql://").partition(":")
        password, _, place = rest.partition("@")
        with contextlib.closing(psycopg.connect(url, autocommit=True)) as connection:
            connection.execute(
                'CREATE TABLE "case files" (number integer, "first name" text, '
                "updated timestamptz, diary text)"
            )
            connection.execute(
                """INSERT INTO "case files" VALUES (1, 'a', NULL, 'x')"""
            )
            connection.execute("CREATE TABLE other (secret text)")
            yield Served(
                kind="postgresql",
                user=user,
                password=password,
                port=running.port,
                name=place.rpartition("/")[2],
                run=connection.execute,
                folder=folder,
            )

    return opened()


def of_mariadb(
    running: MariadbServer, folder: Path
) -> contextlib.AbstractContextManager[Served]:
    @contextlib.contextmanager
    def opened() -> Iterator[Served]:
        name = running.database()
        with contextlib.closing(running.connect(name)) as connection:
            cursor = connection.cursor()
            cursor.execute(
                "CREATE TABLE `case files` (number integer, `first name` text, "
                "updated datetime, diary text)"
            )
            cursor.execute("INSERT INTO `case files` VALUES (1, 'a', NULL, 'x')")
            cursor.execute("CREATE TABLE other (secret text)")
            yield Served(
                kind="mariadb",
                user="accord",
                password=running.password,
                port=running.port,
                name=name,
                run=cursor.execute,
                folder=folder,
            )

    return opened()


@pytest.fixture(params=["postgresql", "mariadb"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    running = request.getfixturevalue(
        "postgres" if request.param == "postgresql" else "mariadb"
    )
    make = of_postgresql if request.param == "postgresql" else of_mariadb
    with make(running, tmp_path) as found:
        yield found


def reason(attempt: Callable[[], object]) -> str:
    with pytest.raises(AccordError) as refused:
        attempt()
    for secret in ("hunter2", "0.0.0.0", "SELECT", "Traceback"):  # noqa: S104
        assert secret not in refused.value.sentence
    return refused.value.reason


def read(access: Access, columns: list[str] | None = None) -> list[list[str]]:
    with open_database_table(access, "case files") as table:
        (batch,) = table.rows(columns or COLUMNS)
        return batch


def granted(served: Served, user: str) -> Access:
    """Let a user in by the statements that the agent prints."""
    access = served.access(user, "hunter2")
    for line in grants(access, "case files", COLUMNS):
        statement = line.replace("CHOOSE-A-PASSWORD", "hunter2")
        if not line.startswith("--"):
            served.run(statement)
    if served.kind == "postgresql":
        served.run(f"ALTER ROLE \"{user}\" PASSWORD 'hunter2'")
    return access


def test_the_statements_let_a_user_read_the_columns_and_nothing_else(
    served: Served,
) -> None:
    access = granted(served, f"reader-{served.name}")
    assert read(access) == [["1"], ["a"], [""]]
    assert rights(access).beyond == ()
    (readable,) = rights(access).readable
    assert readable.name.endswith(".case files")
    assert readable.columns == len(COLUMNS)
    assert reason(lambda: read(access, ["diary"])) == "DATABASE_RIGHTS"
    with pytest.raises(SourceError), open_database_table(access, "other") as table:
        list(table.rows(["secret"]))


def test_who_may_write_is_warned(served: Served) -> None:
    beyond = rights(served.access()).beyond
    if served.kind == "postgresql":
        assert set(beyond) >= {"INSERT", "UPDATE", "DELETE", "CREATE", "SUPERUSER"}
    else:
        assert set(beyond) >= {"INSERT", "UPDATE", "DELETE", "CREATE", "SUPER"}


def test_a_single_right_to_write_is_noticed(served: Served) -> None:
    user = f"writer-{served.name}"
    access = granted(served, user)
    if served.kind == "postgresql":
        served.run(f'GRANT UPDATE ON other TO "{user}"')
    else:
        served.run(f"GRANT UPDATE (secret) ON other TO '{user}'@'%'")
    assert rights(access).beyond == ("UPDATE",)


def test_the_agent_itself_cannot_write(served: Served) -> None:
    """Not even as an administrator: its sessions only read."""
    import sqlalchemy as sa

    with served.access().connected() as connection:
        with pytest.raises(sa.exc.DBAPIError, match=r"(?i)read.only"):
            connection.exec_driver_sql("DELETE FROM other")
        connection.rollback()


def test_reads_of_one_connection_see_one_moment(served: Served) -> None:
    quote = '"' if served.kind == "postgresql" else "`"
    with open_database_table(served.access(), "case files") as table:
        (before,) = table.rows(["number"])
        served.run(f"INSERT INTO {quote}case files{quote} (number) VALUES (2)")
        (after,) = table.rows(["number"])
    assert before == after == [["1"]]


def test_trouble_at_the_door_is_told_apart(served: Served) -> None:
    assert reason(lambda: read(served.access(password="hunter2"))) == "DATABASE_LOGIN"
    assert reason(lambda: read(served.access("nobody", "hunter2"))) == "DATABASE_LOGIN"
    closed = dataclasses.replace(served, port=1)
    assert reason(lambda: read(closed.access())) == "DATABASE_UNREACHABLE"
    unknown = served.access(name="nowhere")
    assert reason(lambda: read(unknown)) == "DATABASE_UNREACHABLE"


def test_a_server_elsewhere_must_speak_tls(served: Served) -> None:
    elsewhere = served.access(host=ELSEWHERE)
    assert reason(lambda: read(elsewhere)) == "DATABASE_TLS"
    encrypted = served.access(host=ELSEWHERE, tls="encrypt")
    assert reason(lambda: read(encrypted)) == "DATABASE_TLS"
    assert read(served.access(host=ELSEWHERE, tls="off"))[0] == ["1"]


# The driver cannot close a cursor of the server's when the connection is gone.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_broken_connection_is_said_so(served: Served) -> None:
    with open_database_table(served.access(), "case files") as table:
        number = table.connection.exec_driver_sql(
            "SELECT pg_backend_pid()"
            if served.kind == "postgresql"
            else "SELECT connection_id()"
        ).scalar()
        if served.kind == "postgresql":
            served.run(f"SELECT pg_terminate_backend({number}, 10000)")
        else:
            served.run(f"KILL {number}")
        with warnings.catch_warnings():
            # SQLAlchemy leaves a cursor open whose connection broke; psycopg says so.
            warnings.simplefilter("ignore", ResourceWarning)
            assert reason(lambda: list(table.rows(COLUMNS))) == "DATABASE_FAILED"
            gc.collect()


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
def over_tls(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Served, trustme.CA]]:
    """A server whose certificate is for the address from elsewhere."""
    authority = trustme.CA()
    leaf = authority.issue_cert(ELSEWHERE)
    tls = {
        "certificate": b"".join(blob.bytes() for blob in leaf.cert_chain_pems),
        "key": leaf.private_key_pem.bytes(),
    }
    folder = tmp_path_factory.mktemp("tls")
    if request.param == "mariadb":
        pytest.importorskip("pymysql", reason="no driver for MariaDB (extra `mysql`)")
    try:
        with contextlib.ExitStack() as stack:
            if request.param == "postgresql":
                running = stack.enter_context(cluster(tls=tls))
                made = stack.enter_context(of_postgresql(running, folder))
            else:
                other = stack.enter_context(server(tls=tls))
                made = stack.enter_context(of_mariadb(other, folder))
            yield made, authority
    except (PostgresUnavailableError, MariadbUnavailableError) as problem:
        pytest.skip(f"no server for this test: {problem}")


def test_a_server_that_proves_itself_is_read(
    over_tls: tuple[Served, trustme.CA],
) -> None:
    served, authority = over_tls
    authority.cert_pem.write_to_path(str(served.folder / "ca.pem"))
    assert read(served.access(host=ELSEWHERE, ca_file="ca.pem"))[0] == ["1"]
    assert read(served.access(host=ELSEWHERE, tls="encrypt"))[0] == ["1"]


def test_a_server_that_another_authority_signed_is_not_believed(
    over_tls: tuple[Served, trustme.CA],
) -> None:
    served, _ = over_tls
    assert reason(lambda: read(served.access(host=ELSEWHERE))) == "DATABASE_TLS"
    trustme.CA().cert_pem.write_to_path(str(served.folder / "other.pem"))
    other = served.access(host=ELSEWHERE, ca_file="other.pem")
    assert reason(lambda: read(other)) == "DATABASE_TLS"
    absent = served.access(host=ELSEWHERE, ca_file="absent.pem")
    assert reason(lambda: read(absent)) == "DATABASE_TLS"


def test_a_certificate_for_another_host_is_not_believed(
    over_tls: tuple[Served, trustme.CA],
) -> None:
    """The host is called by another address than the one in the certificate."""
    served, authority = over_tls
    authority.cert_pem.write_to_path(str(served.folder / "ca.pem"))
    # ::ffff:127.0.0.1 leads here, and Python does not take it for loopback.
    mapped = served.access(host="[::ffff:127.0.0.1]", ca_file="ca.pem")
    assert reason(lambda: read(mapped)) == "DATABASE_TLS"
