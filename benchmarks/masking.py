# SPDX-License-Identifier: Apache-2.0
"""Cost of the masks, at one member of a cohort and at the hub.

For cohorts of 3 to 200 members and 100 to 100,000 cells: deriving the mask keys and
masking, with pair secrets in the cache; all of round 2 (with the check of every
member's signature, without noise); all of round 3; opening the sum at the hub, and
comparing the vectors with their receipts before that. Where the prototype is there that
the design was measured with, it takes turns with ours. Figures are medians of CPU
time::

    python -m benchmarks.masking
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import importlib.util
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from accord.secagg.keys import Directory, SecretKeys, pair_secret
from accord.secagg.masks import mask, self_key, vector_bytes
from accord.secagg.member import (
    check_readies,
    check_receipts,
    make_masked,
    make_ready,
    pair_keys,
)
from accord.secagg.messages import Spec, commit_input, transcript, vector_digest
from accord.secagg.opening import check_vector, open_sum

PROTOTYPE = (
    Path(__file__).resolve().parents[2]
    / "shared/prototypes/secure_aggregation/secagg.py"
)
MEMBERS = (3, 10, 50, 200)
CELLS = (100, 1_800, 100_000)
GOAL = 2.0
"""Ours takes at most so many times as long as the prototype."""

Steps = dict[str, Callable[[], object]]


def random_vector(cells: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.random.default_rng(7).integers(0, 10_000, cells)


def ours(n: int, cells: int) -> Steps:
    """Bring a cohort to the point from which each step can be repeated."""
    labels = [f"agency-{number:03}" for number in range(n)]
    secrets = [
        SecretKeys.from_seed(each, hashlib.sha256(each.encode()).digest())
        for each in labels
    ]
    # Without ML-KEM, whose secret is in the cache and costs nothing per query.
    directory = Directory(
        dataclasses.replace(each.public, kem=None) for each in secrets
    )
    me = secrets[0].as_listed(directory)
    lasting = {
        each: pair_secret(me, directory[each], directory.digest, None)
        for each in labels[1:]
    }
    spec = Spec(
        query_id="query", payload=bytes(2000), directory_digest=directory.digest
    )
    made = [make_ready(each, spec, 1) for each in secrets]
    readies = [ready for ready, _ in made]
    own, ephemeral = made[0]
    seen = transcript(spec.digest, 1, "all", "00", readies)
    vector, seed = random_vector(cells), os.urandom(32)
    seeds = dict.fromkeys(labels, seed)

    def keys() -> dict[str, bytes]:
        return pair_keys(me, ephemeral, readies, seen, lasting)

    def round_2() -> object:
        check_readies(spec, 1, readies, labels, directory, own)
        shown = transcript(spec.digest, 1, "all", "00", readies)
        return make_masked(
            me,
            transcript=shown,
            vector=vector,
            input_commitment=commit_input(vector_digest(vector.tobytes()), seed, seed),
            self_seed=seed,
            pair_keys=pair_keys(me, ephemeral, readies, shown, lasting),
        )

    # The hub's work does not depend on what the others masked with.
    answers = [
        make_masked(
            each,
            transcript=seen,
            vector=vector,
            input_commitment=bytes(32),
            self_seed=seed,
            pair_keys={},
        )
        for each in secrets
    ]
    receipts = [receipt for receipt, _ in answers]
    vectors = {receipt.agency: vector_bytes(words) for receipt, words in answers}

    def compare() -> None:
        for each in receipts:
            check_vector(each, vectors[each.agency])

    own_key = self_key(seed, seen, me.label)
    return {
        "masks": lambda: mask(vector, own_key, keys(), me.label),
        "masked step": round_2,
        "reveal step": lambda: check_receipts(receipts, labels, seen, directory),
        "hub open": lambda: open_sum(receipts, vectors, seeds),
        "hub compare": compare,
    }


def prototype(path: Path, n: int, cells: int) -> Steps:
    """Bring the prototype to the same point; its state is put back before each step."""
    found = importlib.util.spec_from_file_location("prototype_secagg", path)
    if found is None or found.loader is None:
        message = f"{path} cannot be imported"
        raise SystemExit(message)
    code: Any = importlib.util.module_from_spec(found)
    # Its dataclasses look their own module up.
    sys.modules[found.name] = code
    found.loader.exec_module(code)
    _, membership, agents = code.make_federation(n)
    spec = code.make_spec(membership, cells)
    readies = [each.ready(spec, 1) for each in agents]
    me, vector = agents[0], random_vector(cells)
    ready_state = dict(me.db[spec.query_id])
    seen = code.transcript(spec.digest(), 1, readies)
    for each in agents[1:]:
        me.pair_secret(each.id)

    def masks() -> object:
        acc = np.array(vector, dtype=np.int64).view(np.uint64).copy()
        buffer = bytearray(min(cells, code.CHUNK) * 8 + 15)
        for each in readies[1:]:
            fresh = ready_state["eph"].exchange(
                code.X25519PublicKey.from_public_bytes(each.eph_pk)
            )
            low, high = sorted((me.id, each.agent_id))
            secret = fresh + me.pair_secret(each.agent_id)
            key = code.kdf(secret, seen, b"mask", low, high)
            code.add_stream(acc, key, 1 if me.id == low else -1, "aes", buffer)
        code.add_stream(acc, code.self_key(bytes(32), seen, me.id), 1, "aes", buffer)
        return acc

    def round_2() -> Any:  # noqa: ANN401 - of the prototype
        me.db[spec.query_id] = dict(ready_state)
        return me.contribute(spec, 1, readies, lambda: vector)

    answers, seeds = [round_2()], {}
    for each in agents[1:]:
        # As above: no pair masks for the others, which cost minutes.
        seed = os.urandom(32)
        words = vector.view(np.uint64).copy()
        code.add_stream(words, code.self_key(seed, seen, each.id), 1)
        content = words.tobytes()
        unsigned = code.Masked(
            each.id,
            seen,
            content,
            code.H(b"y", content),
            code.H(b"b", seen, each.id, seed),
            b"",
        )
        signature = each.sign_sk.sign(unsigned.receipt().body())
        answers.append(dataclasses.replace(unsigned, sig=signature))
        seeds[each.id] = seed
    masked_state = dict(me.db[spec.query_id])
    seeds[me.id] = masked_state["b"]
    receipts = [each.receipt() for each in answers]

    def round_3() -> object:
        me.db[spec.query_id] = dict(masked_state)
        return me.reveal(spec, 1, receipts)

    return {
        "masks": masks,
        "masked step": round_2,
        "reveal step": round_3,
        "hub open": lambda: code.open_sum(spec, answers, seeds),
    }


def medians(sides: Mapping[str, Steps], repeats: int) -> dict[str, dict[str, float]]:
    """Return median milliseconds by step and side; sides take turns."""
    times: dict[tuple[str, str], list[float]] = {}
    for turn in range(repeats + 1):  # the first turn only warms up
        for side, steps in sides.items():
            for name, step in steps.items():
                begun = time.process_time_ns()
                step()
                if turn:
                    spent = (time.process_time_ns() - begun) / 1e6
                    times.setdefault((name, side), []).append(spent)
    found: dict[str, dict[str, float]] = {}
    for (name, side), values in times.items():
        found.setdefault(name, {})[side] = round(statistics.median(values), 3)
    return found


def measure(n: int, cells: int, path: Path | None) -> dict[str, Any]:
    sides = {"ours": ours(n, cells)}
    if path is not None:
        sides["prototype"] = prototype(path, n, cells)
    repeats = 5 if n * cells > 10**6 else 15
    return {"members": n, "cells": cells, "ms": medians(sides, repeats)}


def show(figures: Mapping[str, Any]) -> None:
    print(f"{figures['members']} members, {figures['cells']:,} cells")
    for name, sides in figures["ms"].items():
        line = f"  {name:12} {sides['ours']:9.3f} ms"
        if "prototype" in sides:
            ratio = sides["ours"] / max(sides["prototype"], 1e-3)
            verdict = "met" if ratio <= GOAL else "MISSED"
            line += (
                f"   prototype {sides['prototype']:9.3f} ms"
                f"   {ratio:5.2f}x (goal {GOAL:g}: {verdict})"
            )
        print(line)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.masking")
    parser.add_argument("--json", action="store_true", help="figures for programs")
    parser.add_argument("--members", type=int, action="append", help="another cohort")
    parser.add_argument("--cells", type=int, action="append", help="another layout")
    parser.add_argument("--prototype", type=Path, default=PROTOTYPE)
    chosen = parser.parse_args(arguments)
    path: Path | None = chosen.prototype
    if path is not None and not path.is_file():
        print(f"{path} is not there: ours alone", file=sys.stderr)
        path = None
    for n in chosen.members or MEMBERS:
        for cells in chosen.cells or CELLS:
            figures = measure(n, cells, path)
            if chosen.json:
                print(json.dumps(figures))
            else:
                show(figures)


if __name__ == "__main__":
    main()
