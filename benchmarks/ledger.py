# SPDX-License-Identifier: Apache-2.0
"""What the ledger costs where every commit is durable, side by side in one run.

*Group commit*: 32 clients wait for reservations on the seven accounts of the sample
agreement (itself, an analyst, five agencies; windows on the first two; ``--agencies``
for more). One writer takes either one of them or all that wait into each transaction;
both take turns, in memory (``--memory``) and where temporary files are (``--disk``).
What one flush takes there is measured and printed: it says whether that is a slow disk
at present, with the higher goal, or a fast one. SQLite commits
with synchronous=FULL; PostgreSQL runs in a cluster of this benchmark's own, with fsync
and synchronous_commit on.

*Race*: 200 threads at a cap. *Replicas*: four processes on one PostgreSQL against one
of them. *Wait*: a reservation with its commit against a whole question of the demo's
network (a minute to set up; ``--no-network`` leaves it out), nothing overlapped: an
upper bound of what is left to wait for.

    python -m benchmarks.ledger
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import json
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from accord.client.demo.stage import set_the_stage
from accord.core.errors import AccordError, BudgetExhausted
from accord.hub.db.engine import LedgerTransaction, Store
from accord.hub.db.place import Place
from accord.hub.db.postgresql import PostgresDatabase
from accord.hub.db.sqlite import SqliteFile
from accord.ledger import Line, Unit, Window, balance, reserve, reserve_all, verify
from benchmarks import whole_query
from tests.contract.ledger_stores import Store as Contract
from tests.contract.ledger_stores import core_on_postgres, core_on_sqlite
from tests.contract.postgres import Cluster, PostgresUnavailableError, cluster

IN_FLIGHT = 32
AGENCIES = 5
RUNS = 3
ALONE = 100
TOGETHER = 1_000
FAST_GOAL = 5.0
SLOW_GOAL = 20.0
SLOW_MS = 2.0
THREADS = 200
FITS = 73
REPLICAS = 4
REPLICAS_GOAL = 0.6
SECONDS = 3.0
WAIT_GOAL = 0.1
NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
YEAR = 365 * 86_400
PLENTY = 10**15


def lines(agencies: int) -> list[Line]:
    """Return what a question asks of the ledger."""
    windows = (Window(seconds=YEAR, cap=PLENTY),)
    rationed = ("agreement/trends", "agreement/trends/analyst/ana")
    return [
        *(
            Line(account=each, unit=Unit.NANO_RHO, amount=3, windows=windows)
            for each in rationed
        ),
        *(
            Line(
                account=f"agency/agency-{number:03d}",
                unit=Unit.NANO_RHO,
                amount=3,
                lifetime_cap=PLENTY,
            )
            for number in range(agencies)
        ),
    ]


class Writer:
    """Commits what waits, at most so much of it at once."""

    def __init__(self, store: Store, most: int, wanted: Sequence[Line]) -> None:
        self._store = store
        self._most = most
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []
        self._arrived = asyncio.Event()
        self._lines = wanted

    async def reserve(self) -> None:
        """Return once a reservation is committed."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((str(uuid.uuid4()), done))
        self._arrived.set()
        await done

    async def run(self) -> None:
        """Write until it is cancelled."""
        while True:
            await self._arrived.wait()
            batch = self._waiting[: self._most]
            await self._store.run(self._commit, [entry for entry, _ in batch])
            del self._waiting[: len(batch)]
            if not self._waiting:
                self._arrived.clear()
            for _, done in batch:
                done.set_result(None)

    def _commit(self, entries: Sequence[str]) -> None:
        asked = [(entry, self._lines) for entry in entries]
        with self._store.write() as tx:
            for each in reserve_all(LedgerTransaction(tx), asked, NOON):
                if isinstance(each, AccordError):
                    raise each


async def served(
    store: Store, wanted: Sequence[Line], most: int, number: int
) -> tuple[float, float]:
    """Return the seconds of one reservation, and our CPU's, with clients that wait."""
    writer = Writer(store, most, wanted)
    writing = asyncio.create_task(writer.run())
    rounds = -(-number // IN_FLIGHT)

    async def client() -> None:
        for _ in range(rounds):
            await writer.reserve()

    start, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client() for _ in range(IN_FLIGHT)))
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    writing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await writing
    made = rounds * IN_FLIGHT
    return seconds / made, cpu / made


def group_commit(place: Place, agencies: int) -> dict[str, float]:
    """Return rates with one reservation in a commit, and with all that wait."""
    store, wanted = Store(place), lines(agencies)
    store.create()
    alone, together = [], []
    for _ in range(RUNS):  # in turns, so that a busy machine is busy for both
        alone.append(asyncio.run(served(store, wanted, 1, ALONE)))
        together.append(asyncio.run(served(store, wanted, IN_FLIGHT, TOGETHER)))
    with store.read() as tx:
        verify(LedgerTransaction(tx))
    store.close()
    one, one_cpu = (statistics.median(each) for each in zip(*alone, strict=True))
    many, many_cpu = (statistics.median(each) for each in zip(*together, strict=True))
    return {
        "alone": 1 / one,
        "together": 1 / many,
        "ratio": one / many,
        "alone_cpu_us": one_cpu * 1e6,
        "together_cpu_us": many_cpu * 1e6,
    }


def flush_ms(folder: Path) -> float:
    """Return what it takes to have 4 kB on the disk."""
    times = []
    with (folder / "flushed").open("wb") as file:
        for _ in range(40):
            file.write(os.urandom(4096))
            file.flush()
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def race(store: Contract) -> dict[str, int]:
    """Return how many of 200 threads got what fits 73 times."""
    gate = threading.Barrier(THREADS)
    line = Line(account="a", unit=Unit.NANO_RHO, amount=3, lifetime_cap=3 * FITS)

    def one(_: int) -> bool:
        gate.wait(60)
        try:
            with store.transaction() as tx:
                reserve(tx, str(uuid.uuid4()), [line], NOON)
        except BudgetExhausted:
            return False
        return True

    with ThreadPoolExecutor(THREADS) as pool:
        granted = sum(pool.map(one, range(THREADS)))
    with store.transaction() as tx:
        used = balance(tx, line.account, line.unit, NOON).used
    store.close()
    return {"granted": granted, "above_cap": max(0, used - 3 * FITS)}


def replica(url: str, go: Any, stop: Any, counted: Any) -> None:  # noqa: ANN401
    """Be one process of several that reserve as fast as they can."""
    store = Store(PostgresDatabase(url))
    wanted = lines(AGENCIES)
    go.wait()
    number = 0
    while not stop.is_set():
        asked = [(str(uuid.uuid4()), wanted) for _ in range(IN_FLIGHT)]
        with store.write() as tx:
            number += len(reserve_all(LedgerTransaction(tx), asked, NOON))
    store.close()
    counted.put(number)


def replicas(server: Cluster, processes: int) -> float:
    """Return reservations in a second of so many processes on one new database."""
    url = server.database(driver="postgresql")
    store = Store(PostgresDatabase(url))
    store.create()
    spawn = multiprocessing.get_context("spawn")
    go, stop, counted = spawn.Barrier(processes + 1), spawn.Event(), spawn.Queue()
    running = [
        spawn.Process(target=replica, args=(url, go, stop, counted))
        for _ in range(processes)
    ]
    for each in running:
        each.start()
    go.wait()
    start = time.perf_counter()
    time.sleep(SECONDS)
    stop.set()
    total = sum(int(counted.get()) for _ in running)
    seconds = time.perf_counter() - start
    for each in running:
        each.join()
    with store.read() as tx:
        if verify(LedgerTransaction(tx)) != total:
            message = "the ledger does not hold what its writers were told"
            raise SystemExit(message)
        locked = tx.execute(sa.text("SELECT SUM(deadlocks) FROM pg_stat_database"))
        if locked.scalar_one():
            message = "writers have locked each other out"
            raise SystemExit(message)
    store.close()
    return total / seconds


def several_replicas(server: Cluster) -> dict[str, float]:
    """Return the rates of one process and of four."""
    one, many = [], []
    for _ in range(RUNS):
        one.append(replicas(server, 1))
        many.append(replicas(server, REPLICAS))
    alone, together = statistics.median(one), statistics.median(many)
    return {"one": alone, "several": together, "ratio": together / alone}


def reservation_ms(folder: Path) -> float:
    """Return the time of one reservation with its commit, nobody else waiting."""
    store = Store(SqliteFile(folder / "alone.db"))
    store.create()
    times, wanted = [], lines(AGENCIES)
    for _ in range(ALONE):
        start = time.perf_counter()
        with store.write() as tx:
            reserve(LedgerTransaction(tx), str(uuid.uuid4()), wanted, NOON)
        times.append(time.perf_counter() - start)
    store.close()
    return statistics.median(times) * 1000


def wait_share(folder: Path) -> dict[str, float]:
    """Return a reservation's part of a whole question, if nothing overlaps it."""
    stage = set_the_stage(folder / "demo", lambda _: None)
    try:
        whole = whole_query.measure(stage)["whole"]
    finally:
        stage.stop()
    alone = reservation_ms(folder)
    return {"reservation_ms": alone, "whole_ms": whole, "share": alone / whole}


def measured(options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every figure as it is there."""
    disks = {"memory": options.memory, "disk": options.disk}
    with contextlib.ExitStack() as stack:
        folders = {
            disk: Path(
                stack.enter_context(
                    tempfile.TemporaryDirectory(prefix="accord-bench-", dir=place)
                )
            )
            for disk, place in disks.items()
        }
        for disk, folder in folders.items():
            place = SqliteFile(folder / "hub.db")
            found = group_commit(place, options.agencies) | {"flush": flush_ms(folder)}
            yield f"group commit sqlite {disk}", found
        (folders["memory"] / "race").mkdir()
        yield "race sqlite", race(core_on_sqlite(folders["memory"] / "race"))
        for disk, folder in folders.items():
            folder.chmod(0o711)  # the server runs as another user
            with cluster(durable=True, folder=folder) as server:
                database = PostgresDatabase(server.database(driver="postgresql"))
                found = group_commit(database, options.agencies)
                found["flush"] = flush_ms(folder)
                yield f"group commit postgresql {disk}", found
                if disk == "disk":
                    continue
                yield "race postgresql", race(on_postgres(server))
                yield "replicas postgresql", several_replicas(server)
        if options.network:
            yield "wait", wait_share(folders["disk"])


def on_postgres(server: Cluster) -> Contract:
    """Return an empty ledger there."""
    return core_on_postgres(server.database(), isolation_level="READ COMMITTED")


def in_words(name: str, found: dict[str, Any]) -> str:
    """Return a figure beside its goal."""
    if name.startswith("group commit"):
        goal = SLOW_GOAL if found["flush"] >= SLOW_MS else FAST_GOAL
        return (
            f"{name} ({found['flush']:.2f} ms a flush):"
            f" {found['alone']:,.0f} in a second alone,"
            f" {found['together']:,.0f} with {IN_FLIGHT} in flight:"
            f" {found['ratio']:.1f}x (goal {goal:.0f}x); our CPU"
            f" {found['alone_cpu_us']:.0f} and {found['together_cpu_us']:.0f} us each"
        )
    if name.startswith("race"):
        return (
            f"{name}: {THREADS} threads, {FITS} fit: {found['granted']} granted,"
            f" {found['above_cap']} above the cap (goal {FITS} and 0)"
        )
    if name.startswith("replicas"):
        return (
            f"{name}: {found['one']:,.0f} in a second by one, {found['several']:,.0f}"
            f" by {REPLICAS}: {found['ratio']:.2f}x (goal {REPLICAS_GOAL}x),"
            " no deadlock"
        )
    return (
        f"{name}: {found['reservation_ms']:.1f} ms of {found['whole_ms']:.0f} ms:"
        f" {found['share']:.3f} (goal {WAIT_GOAL})"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--memory", type=Path, default=Path("/dev/shm"))  # noqa: S108  # files get a folder of their own
    parser.add_argument("--disk", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--agencies", type=int, default=AGENCIES)
    parser.add_argument(
        "--network", action=argparse.BooleanOptionalAction, default=True
    )
    options = parser.parse_args(arguments)
    everything: dict[str, dict[str, Any]] = {}
    try:
        for name, found in measured(options):
            everything[name] = found
            if not options.json:
                print(in_words(name, found), flush=True)
    except PostgresUnavailableError as problem:
        print(f"no PostgreSQL: {problem}")
    if options.json:
        print(json.dumps(everything))


if __name__ == "__main__":
    main()
