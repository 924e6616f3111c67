# SPDX-License-Identifier: Apache-2.0
"""A network with several hubs on one PostgreSQL, behind a balancer.

It is made of a network that was built with one hub on SQLite: rows and keys are copied.
To agents and analysts it is one hub at one address.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from accord.hub.db.engine import Store
from accord.hub.db.postgresql import PostgresDatabase
from accord.hub.db.tables import METADATA
from tests.federation.balancer import Balancer
from tests.federation.network import Network
from tests.federation.processes import Process, free_port, wait_until

DATABASE = "ACCORD_HUB_DATABASE"


class ReplicatedNetwork(Network):
    """Several hubs, and agents that find one of them."""

    def __init__(self, original: Network, folder: Path, url: str, number: int) -> None:
        """Copy a stopped network; nothing of the copy runs yet.

        Args:
            original: has one hub, on SQLite.
            folder: where the copy goes.
            url: of an empty database.
            number: of hubs.
        """
        one = original.clone(folder)
        self.replicas: list[Process] = []
        super().__init__(folder, one.blueprint)
        self.tokens = one.tokens
        self.url = url
        carry_over(self.hub_state / "hub.db", url)
        settings = {**one.hub.settings, DATABASE: url}
        self._ports = [(free_port(), free_port()) for _ in range(number)]
        self.replicas = []
        self._numbers: dict[Process, int] = {}
        for place in range(number):
            state = self._state(place)
            if place:
                state.mkdir(mode=0o700)
                shutil.copytree(self.hub_state / "keys", state / "keys")
                shutil.copy(self.hub_state / "config.toml", state)
            else:
                (state / "hub.db").unlink()
            _set_ports(state / "config.toml", *self._ports[place])
            self.replicas.append(
                Process(
                    f"hub-{place}",
                    "hub",
                    ["serve", "--state", str(state)],
                    logs=folder / "logs",
                    settings=settings,
                )
            )
        for label in self.blueprint.labels:
            self.route(label, self.agent_port)
        self.front = Balancer([each[0] for each in self._ports], self.public_port)
        self.back = Balancer([each[1] for each in self._ports], self.agent_port)

    def _state(self, place: int) -> Path:
        return self.folder / (f"hub-{place}" if place else "hub")

    @property
    def hub(self) -> Process:
        """One that runs."""
        return next((e for e in self.replicas if e.is_running), self.replicas[0])

    @hub.setter
    def hub(self, process: Process) -> None:
        self.replicas = [process]

    def _processes(self) -> list[Process]:
        return [*self.agents.values(), *self.replicas]

    def start_hub(self) -> None:
        """Start all hubs that do not run."""
        for each in self.replicas:
            if not each.is_running:
                self.start_replica(each)

    def start_replica(self, replica: Process) -> None:
        """Start one hub and learn its number."""
        replica.start()
        replica.wait_line("hub.ready")
        self._numbers[replica] = self.rows("SELECT max(number) FROM replicas")[0][0]

    def wait_anew(self, replica: Process) -> None:
        """Return once a hub has seen that it was replaced, and has begun anew."""
        replica.wait_line("replica.lost")
        replica.wait_line("hub.began-anew")
        newest = max(self._numbers.values())

        def number() -> int:
            sql = "SELECT coalesce(max(number), 0) FROM replicas WHERE number > ?"
            return int(self.rows(sql, newest)[0][0])

        self._numbers[replica] = wait_until(number, f"{replica.name} joins again")

    def elsewhere(self, replica: Process) -> list[str]:
        """Return the agencies whose streams are at other hubs."""
        number = self._numbers[replica]
        return sorted(label for label, at in self.streams().items() if at != number)

    def end_sessions(self) -> None:
        """End every connection of the hubs to their database."""
        ended = self.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'accord-hub' AND datname = current_database()"
        )
        assert ended

    def learn_numbers(self) -> None:
        """Start all hubs again, so that their numbers are known."""
        for replica in self.replicas:
            replica.kill()
        self.start_hub()

    def owner(self, submission: str) -> Process:
        """Return the hub that moves a round."""

        def look() -> Process | None:
            sql = "SELECT owner FROM rounds WHERE submission = ?"
            numbers = {owner for (owner,) in self.rows(sql, submission)}
            return next((e for e, n in self._numbers.items() if n in numbers), None)

        return wait_until(look, "the round has an owner that runs")

    def others(self, replica: Process) -> list[Process]:
        """Return the other hubs."""
        return [each for each in self.replicas if each is not replica]

    def prefer(self, *replicas: Process) -> None:
        """Send new connections to some hubs only."""
        chosen = [self._ports[self.replicas.index(each)] for each in replicas]
        self.front.targets = [each[0] for each in chosen]
        self.back.targets = [each[1] for each in chosen]

    def spread_streams(self) -> None:
        """Return once agencies are at more than one hub; connect them anew if not."""

        def look() -> bool:
            at = self.streams()
            if len(at) < len([e for e in self.agents.values() if e.is_running]):
                return False
            if len(set(at.values())) < 2:
                self.back.cut()
                wait_until(lambda: self.streams() != at, "agents connect anew")
                return False
            return True

        wait_until(look, "agencies are at more than one hub")

    def stage(self, submission: str) -> str:
        """Return how far the database says that a round is."""
        sql = "SELECT stage FROM rounds WHERE submission = ?"
        return str(self.rows(sql, submission)[0][0])

    def timestamp_of(self, replica: Process) -> bytes:
        """Return the hub's word that policies are the newest, as one hub has it."""
        folder = self._state(self.replicas.index(replica)) / "policies"
        return (folder / "metadata/timestamp.json").read_bytes()

    def assert_books_agree(self, labels: Iterable[str]) -> None:
        """One charge, one release and one note for each question, and agencies agree.

        Questions that failed after an opening are charged and have no release.
        """
        charges = self.rows("SELECT entry FROM ledger_event WHERE kind = 'charge'")
        releases = self.rows("SELECT ledger_entry FROM releases")
        notes = self.rows("SELECT 1 FROM audit WHERE event = 'release.published'")
        assert len(set(charges)) == len(charges)
        assert set(releases) <= set(charges)
        assert len(set(releases)) == len(releases) == len(notes)
        assert not self.rows("SELECT 1 FROM submissions WHERE state = 'collecting'")
        assert not self.rows("SELECT 1 FROM rounds")
        assert not self.reserved()
        own = "SELECT entry FROM ledger_event WHERE kind = 'charge'"
        for label in labels:
            paid = self.agent_rows(label, own)
            assert len(set(paid)) == len(paid)
            assert set(paid) <= {(entry,) for (entry,) in charges}

    def streams(self) -> dict[str, int]:
        """Return which replica has the stream of each agency."""
        return dict(self.rows("SELECT agency, replica FROM agent_streams"))

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Look into the hubs' database."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(
                sql.replace("?", "%s").encode(), parameters
            ).fetchall()

    @contextlib.contextmanager
    def locked(self) -> Iterator[Callable[[], bool]]:
        """Be the only writer of the database; tells whether somebody waits for it."""
        store = Store(PostgresDatabase(self.url))
        try:
            with store.write():

                def is_waited_for() -> bool:
                    sql = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"
                    return bool(self.rows(f"{sql} AND NOT granted"))

                yield is_waited_for
        finally:
            store.close()


def carry_over(file: Path, url: str) -> None:
    """Copy a hub's database from a file into an empty one on a server."""
    store = Store(PostgresDatabase(url))
    source = sa.create_engine(f"sqlite:///{file}")
    target = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        store.create()
        with source.connect() as old, target.begin() as new:
            for name in sa.inspect(old).get_table_names():
                if name != "alembic_version":
                    _copy_table(name, old, new)
    finally:
        store.close()
        source.dispose()
        target.dispose()


def _copy_table(name: str, old: sa.Connection, new: sa.Connection) -> None:
    known = METADATA.tables.get(name)
    here = sa.Table(name, sa.MetaData(), autoload_with=new) if known is None else known
    there = sa.Table(name, sa.MetaData(), autoload_with=old) if known is None else known
    rows = [dict(row._mapping) for row in old.execute(sa.select(there))]
    if not rows:
        return
    new.execute(here.delete())
    new.execute(here.insert(), rows)
    for column in here.primary_key.columns:
        place = {"table": name, "column": column.name}
        sequence = new.execute(
            sa.text("SELECT pg_get_serial_sequence(:table, :column)"), place
        ).scalar()
        if sequence is not None:
            highest = max(row[column.name] for row in rows)
            new.execute(
                sa.text("SELECT setval(:sequence, :highest)"),
                {"sequence": sequence, "highest": highest},
            )


def _set_ports(config: Path, public: int, agents: int) -> None:
    text = config.read_text(encoding="utf-8")
    values: Mapping[str, int] = {"public_port": public, "agent_port": agents}
    for name, port in values.items():
        text = re.sub(rf"(?m)^{name} = \d+$", f"{name} = {port}", text)
    config.write_text(text, encoding="utf-8")
