# SPDX-License-Identifier: Apache-2.0
"""Drafts for bad days: a breach, and orders to hand something over."""

from __future__ import annotations

from accord.core.dossier.document import Draft
from accord.core.dossier.matter import Matter, write_contacts


def write_breach(draft: Draft, matter: Matter) -> None:
    """Write how to stop the network, whom to call, and what can have got out."""
    form = matter.form
    draft.heading("breach-first")
    draft.points("first-stop", "first-call", "first-keep", numbered=True)
    draft.heading("contacts")
    write_contacts(draft, matter)
    draft.heading("breach-pause")
    draft.paragraph("pause-how")
    draft.table(
        ("col-who", "col-does", "col-effect"),
        [
            tuple(draft.say(f"pause-{who}{part}") for part in ("", "-does", "-effect"))
            for who in ("agency", "operator", "board")
        ],
    )
    draft.paragraph("pause-parties", parties=", ".join(form.parties))
    draft.heading("breach-cases")
    draft.table(
        ("col-case", "col-out", "col-do"),
        [
            (
                draft.say(f"case-{case}"),
                draft.say(f"case-{_by_placement(matter, f'{case}-out')}"),
                draft.say(f"case-{case}-do"),
            )
            for case in (
                "agency-machine",
                "hub-machine",
                "analyst-token",
                "enrolment-token",
                "board-key",
                "release",
            )
        ],
    )
    draft.heading("breach-duties")
    draft.bullets(
        draft.say(f"notify-{law.regime}", party=matter.name_of(label))
        for label, law in form.law.items()
    )
    unstated = [matter.name_of(x) for x in form.parties if x not in form.law]
    if unstated:
        draft.paragraph("notify-unstated", parties="; ".join(unstated))
    draft.heading("breach-after")
    draft.points("after-ledger", "after-keys", "after-report", "after-resume")


def write_orders(draft: Draft, matter: Matter) -> None:
    """Write what somebody with an order would find, at each place."""
    draft.heading("orders-summary")
    draft.paragraph(f"orders-short-{matter.form.noise}")
    for place in ("agency", "hub", "analyst", "board"):
        draft.heading(f"orders-{place}")
        draft.table(
            ("col-found", "col-tells"),
            [
                (
                    draft.say(f"order-{_by_placement(matter, f'{place}-{what}')}"),
                    draft.say(
                        f"order-{_by_placement(matter, f'{place}-{what}-tells')}"
                    ),
                )
                for what in _FOUND[place]
            ],
        )
        draft.paragraph(f"orders-{place}-not")
    draft.heading("orders-compelled")
    draft.points(
        f"compelled-hub-{matter.form.noise}", "compelled-agency", "compelled-board"
    )
    draft.heading("orders-prepare")
    draft.points("prepare-law", "prepare-disk", "prepare-notice")
    draft.heading("contacts")
    write_contacts(draft, matter)


def _by_placement(matter: Matter, message: str) -> str:
    """Return the id of a message that can depend on who adds the noise."""
    if message in _PLACED:
        return f"{message}-{matter.form.noise}"
    return message


_PLACED = {"hub-machine-out", "hub-memory", "hub-memory-tells"}

_FOUND = {
    "agency": ("files", "store", "keys", "ledger"),
    "hub": ("releases", "log", "people", "keys", "memory"),
    "analyst": ("token", "releases"),
    "board": ("key", "documents"),
}
