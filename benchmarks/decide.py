# SPDX-License-Identifier: Apache-2.0
"""How long one decision takes, with remits in the agreement's members and without.

    python -m benchmarks.decide

The ratio is to looking the agreement up in a dictionary and comparing one date, below
which no decision can be.
"""

from __future__ import annotations

import dataclasses
import datetime
import importlib.resources
import statistics
import time
from collections.abc import Callable
from importlib.resources.abc import Traversable

from accord.core.decide import Analyst, Ask, decide
from accord.core.members import RemitForm
from accord.core.policy import Policy, load_policy_set
from accord.core.query import canonical_query

NAME = "regional-trends"
ROUNDS = 2000
DAY = datetime.date(2026, 6, 1)
ANALYST = Analyst(id="ann", organisation="observatory", roles=frozenset({"analyst"}))
QUESTIONS: dict[str, list[tuple[str, str | None]]] = {
    "one dimension": [("region", None)],
    "three dimensions": [
        ("registered_month", "month"),
        ("region", None),
        ("exploitation_type", None),
    ],
}


def sample() -> Policy:
    """Return the sample agreement."""
    root = importlib.resources.files("accord.policies")
    documents = {"members.yaml": root.joinpath("members.yaml").read_bytes()}
    for folder in ("models", "presets", "agreements"):
        place: Traversable = root / folder
        for each in place.iterdir() if place.is_dir() else ():
            documents[f"{folder}/{each.name}"] = each.read_bytes()
    found = load_policy_set(documents).policy(NAME)
    assert found is not None  # noqa: S101 - it is shipped
    return found


def limited(policy: Policy) -> Policy:
    """Return *policy* with remits that limit the largest dimensions."""
    covers = {
        "registered_month": [str(year) for year in range(2010, 2030)],
        "region": list(policy.model.dimension("region").leaves[:3]),
        "exploitation_type": list(policy.model.dimension("exploitation_type").leaves),
    }
    members = {
        name: member.model_copy(
            update={"remit": RemitForm(description="What it does", covers=covers)}
        )
        for name, member in policy.members.members.items()
    }
    return dataclasses.replace(
        policy, members=policy.members.model_copy(update={"members": members})
    )


def median(work: Callable[[], object]) -> float:
    """Return the median of the time that *work* takes, in microseconds."""
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1e6


def main() -> None:
    """Print the medians."""
    policy = sample()
    agreements = {NAME: policy.agreement}
    floor = median(lambda: agreements[NAME].form.valid.until >= DAY)
    print(f"look-up alone: {floor:.2f} us")
    for title, group_by in QUESTIONS.items():
        query = canonical_query(
            agreement=NAME,
            edition="2026-04",
            measure="persons",
            group_by=group_by,
            where={"exploitation_type": ["forced_labour"]},
            model=policy.model,
        )
        purpose = policy.agreement.form.purpose[0]
        ask = Ask(query=query, analyst=ANALYST, purpose=purpose, day=DAY)
        for remits, each in (("as shipped", policy), ("limited", limited(policy))):
            took = median(lambda each=each, ask=ask: decide(each, ask))  # type: ignore[misc]
            print(
                f"{title}, remits {remits}: {took:.0f} us"
                f" ({took / floor:.0f} times a look-up; the bound is 1000 us)"
            )


if __name__ == "__main__":
    main()
