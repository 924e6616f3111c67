# SPDX-License-Identifier: Apache-2.0
"""What it costs an agency to make sure that its policies are the newest.

A board of three, two of whom must sign, and five agreements to which the agency is a
party; the hub's files are in memory, so that no network counts. Measured are a refresh
where nothing changed, the same where the hub signed its freshness again, and one where
the board signed a change of one agreement, which is compared with the one in force.
Reading a changed agreement as YAML happens once in a process, and stands apart. Figures
are CPU time: waiting for the disk is no part of them. Beside each stands the bare
Ed25519 verification of as many signatures as TUF asks for::

    python -m benchmarks.policy_refresh
"""

from __future__ import annotations

import datetime
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.core.errors import NotFound
from accord.core.policy import load_policy_set
from accord.trust.freshness import freshen
from accord.trust.keys import new_key, text_of
from accord.trust.proposal import Proposal
from accord.trust.repository import Repository
from accord.trust.trusted import Trusted

ROUNDS = 60
GOAL = 20.0
POLICIES = Path(__file__).resolve().parent.parent / "policies"
NOW = datetime.datetime(2026, 3, 15, 12, tzinfo=datetime.UTC)
AGREEMENTS = 5
SIGNATURES = 3 + 1 + 1 + 3
"""Of root, timestamp, snapshot and targets, all three of the board having signed."""


def documents(keys: list[Ed25519PrivateKey], hub: str, fresh: str) -> dict[str, bytes]:
    """Return the shipped policies with five agreements and a board of three."""
    sample = (POLICIES / "agreements" / "regional-trends.yaml").read_text()
    board = "board: bench\nthreshold: 2\nmembers:\n" + "".join(
        f"  m{number}: {{name: Member {number}, key: {text_of(key)}}}\n"
        for number, key in enumerate(keys)
    )
    board += "seats: {survivor representative: m0}\n"
    members = (POLICIES / "members.yaml").read_text()
    members += f"\nhub:\n  key: {hub}\n  freshness: {fresh}\n"
    found = {"board.yaml": board.encode(), "members.yaml": members.encode()}
    model = "models/cases-v1.yaml"
    found[model] = (POLICIES / model).read_bytes()
    for number in range(AGREEMENTS):
        text = sample.replace("regional-trends", f"trends-{number}")
        found[f"agreements/trends-{number}.yaml"] = text.encode()
    return found


def fetching(files: Mapping[str, bytes]) -> Callable[[str], bytes]:
    """Hand out files from memory."""

    def fetch(name: str) -> bytes:
        if name not in files:
            raise NotFound("POLICY_UNKNOWN", name)
        return files[name]

    return fetch


def median(work: Callable[[], object]) -> float:
    """Return the median CPU time of *work*, in milliseconds."""
    times = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return statistics.median(times) * 1e3


def signed(proposal: Proposal, keys: list[Ed25519PrivateKey]) -> Proposal:
    """Let the whole board sign."""
    for key in keys:
        proposal = proposal.sign(key)
    return proposal


def bare_verification() -> float:
    """Return the time for as many signatures over a text of two kilobytes."""
    key = new_key()
    text = bytes(2000)
    signature, public = key.sign(text), key.public_key()

    def verify() -> None:
        for _ in range(SIGNATURES):
            public.verify(signature, text)

    return median(verify)


def refreshes(base: Path, files: Mapping[str, bytes], now: datetime.datetime) -> float:
    """Return the median CPU time of a refresh by agents that all start from *base*."""
    times = []
    for number in range(ROUNDS):
        folder = shutil.copytree(base, base.with_name(f"copy-{number}"))
        trusted = Trusted(folder, "city-police")
        trusted.view()
        begin = time.process_time()
        trusted.refresh(fetching(files), now)
        times.append(time.process_time() - begin)
        shutil.rmtree(folder)
    return statistics.median(times) * 1e3


def main() -> None:
    """Print the medians and ratios."""
    board, hub, fresh = [new_key() for _ in range(3)], new_key(), new_key()
    texts = documents(board, text_of(hub), text_of(fresh))
    founding = Proposal.founding(texts, comment="begin", now=NOW)
    repository = signed(founding, board).publish()
    files = {**repository.files, **freshen(repository, fresh, now=NOW)}
    later = NOW + datetime.timedelta(hours=12)
    again = {**files, **freshen(repository, fresh, now=later, previous=files)}
    path = "agreements/trends-0.yaml"
    texts[path] = (
        texts[path]
        .replace(b"version: 1", b"version: 2")
        .replace(b"suppress_below: 10", b"suppress_below: 12")
    )
    change = signed(Proposal.change(repository, texts, comment="c", now=later), board)
    newer: Repository = change.onto(repository)
    changed = {**newer.files, **freshen(newer, fresh, now=later, previous=files)}
    floor = bare_verification()
    print(f"{SIGNATURES} signatures alone: {floor:.2f} ms")
    with tempfile.TemporaryDirectory() as temporary:
        base = Path(temporary) / "agent"
        trusted = Trusted(base, "city-police")
        trusted.pin(repository.root())
        trusted.refresh(fetching(files), NOW)
        rows = {
            "nothing changed": median(lambda: trusted.refresh(fetching(files), NOW)),
            "freshness signed again": refreshes(base, again, later),
            "one agreement changed": refreshes(base, changed, later),
        }
    begin = time.process_time()
    load_policy_set({**texts, path: texts[path] + b"\n"})
    reading = (time.process_time() - begin) * 1e3
    print(f"reading one changed agreement, once: {reading:.1f} ms")
    for title, took in rows.items():
        verdict = "within" if took < GOAL else "ABOVE"
        print(
            f"{title}: {took:.1f} ms, {took / floor:.1f} times the signatures alone"
            f" ({verdict} the bound of {GOAL:.0f} ms)"
        )


if __name__ == "__main__":
    main()
