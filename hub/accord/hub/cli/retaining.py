# SPDX-License-Identifier: Apache-2.0
"""Erase what agreements do not let the hub keep any longer."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from accord.core.errors import PreconditionFailed
from accord.hub.cli.common import (
    AsJson,
    StateOption,
    governed,
    moment_text,
    now,
    opened,
    show_table,
)
from accord.hub.db.engine import open_store
from accord.hub.retention import orders
from accord.hub.retention.nightly import apply
from accord.hub.settings import load_settings

retention_app = typer.Typer(
    no_args_is_help=True, help="How long content is kept, by agreement."
)


@retention_app.command("apply")
def apply_retention(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be erased.")
    ] = False,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Erase what is older than its agreement says; `serve` does so each night.

    Charges and the hashes of the log stay for ever.
    """
    place = opened(state)
    with governed(place) as standing:
        try:
            policies = standing.newest()
        except PreconditionFailed:
            policies = None
    store = open_store(place, load_settings(place.config))
    found: dict[orders.Order, Counter[str]] = {}
    try:
        if dry_run:
            with store.read() as tx:
                said = orders.terms(tx, policies)
                for order in orders.orders(tx, said, now().date()):
                    found[order] = Counter(dict(orders.counts(tx, order)))
        else:
            for step in apply(store, policies, now):
                found.setdefault(step.order, Counter()).update(step.erased)
    finally:
        store.close()
    rows = [
        {
            "agreement": order.agreement,
            "kind": order.kind.value,
            "before": moment_text(order.before),
            "releases": erased["releases"],
            "questions": erased["questions"],
            "entries": erased["entries"],
        }
        for order, erased in found.items()
    ]
    name = "to_erase" if dry_run else "erased"
    show_table(name, rows, as_json=as_json, empty="Nothing is older than it may be.")
