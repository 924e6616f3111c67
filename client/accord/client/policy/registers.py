# SPDX-License-Identifier: Apache-2.0
"""What changes in the lists of people and keys, in sentences.

Agreements are compared by `accord.core.comparison`; this is for ``board.yaml``, the
keys in ``members.yaml``, and declarations of emergencies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from accord.core.board import BoardForm, BoardMemberForm
from accord.core.members import MembersForm
from accord.core.messages import sentence
from accord.core.policy import MODELS, PRESETS, PolicySet

SHOWN_OF_A_KEY = 16
"""Hexadecimal digits; enough to compare by eye, the six words are over all of it."""


def register_lines(
    before: PolicySet | None, after: PolicySet, language: str = "en"
) -> list[str]:
    """Return one sentence for each change of people, keys and declarations."""
    lines = [
        *_board(before.board if before else None, after.board, language),
        *_members(before.members if before else None, after.members, language),
        *_files(before, after, language),
    ]
    declared = before.emergencies if before else {}
    for name, form in after.emergencies.items():
        if declared.get(name) != form:
            values = {
                "agreement": name,
                "reason": form.reason,
                "first": form.first,
                "until": form.until,
            }
            lines.append(sentence("board.change.emergency", language, **values))
    lines += [
        sentence("board.change.emergency-over", language, agreement=name)
        for name in declared
        if name not in after.emergencies
    ]
    return lines


def _board(
    before: BoardForm | None, after: BoardForm | None, language: str
) -> Iterator[str]:
    if after is None:
        return
    if before is None:
        yield sentence(
            "board.change.founded",
            language,
            board=after.board,
            members=len(after.members),
            threshold=after.threshold,
        )
    elif before.threshold != after.threshold:
        yield sentence(
            "board.change.threshold",
            language,
            before=before.threshold,
            after=after.threshold,
        )
    yield from _people(before.members if before else {}, after.members, language)
    held: Mapping[str, str] = before.seats if before else {}
    for seat, holder in after.seats.items():
        if held.get(seat) != holder:
            name = after.members[holder].name
            yield sentence("board.change.seat", language, seat=seat, name=name)
    for seat in held:
        if seat not in after.seats:
            yield sentence("board.change.seat-ends", language, seat=seat)


def _people(
    old: Mapping[str, BoardMemberForm],
    new: Mapping[str, BoardMemberForm],
    language: str,
) -> Iterator[str]:
    for label, member in new.items():
        values = {"name": member.name, "label": label, "key": _short(member.key)}
        if label not in old:
            yield sentence("board.change.member-joins", language, **values)
        elif old[label].key != member.key:
            yield sentence("board.change.member-key", language, **values)
    for label, member in old.items():
        if label not in new:
            yield sentence(
                "board.change.member-leaves", language, name=member.name, label=label
            )


def _members(
    before: MembersForm | None, after: MembersForm, language: str
) -> Iterator[str]:
    old = before.members if before else {}
    for label, member in after.members.items():
        previous = old.get(label)
        values = {"name": member.name, "label": label}
        if previous is None:
            yield sentence("board.change.agency-joins", language, **values)
        for entry in ("key", "signatory"):
            key = getattr(member, entry)
            if key != (getattr(previous, entry) if previous else None):
                way = f"{entry}-none" if key is None else entry
                yield sentence(
                    f"board.change.agency-{way}",
                    language,
                    key=_short(key) if key else "",
                    **values,
                )
    for label, member in old.items():
        if label not in after.members:
            yield sentence(
                "board.change.agency-leaves", language, name=member.name, label=label
            )
    hub, old_hub = after.hub, before.hub if before else None
    if hub is not None and (old_hub is None or old_hub.key != hub.key):
        yield sentence("board.change.hub-key", language, key=_short(hub.key))
    if hub is not None and (old_hub is None or old_hub.freshness != hub.freshness):
        key = _short(hub.freshness)
        yield sentence("board.change.hub-freshness", language, key=key)


def _files(before: PolicySet | None, after: PolicySet, language: str) -> Iterator[str]:
    """Yield that a model or a preset changed; what it means, the agreements show."""
    old = before.documents if before else {}
    for path in sorted({*old, *after.documents}):
        kind = path.partition("/")[0]
        if kind not in {MODELS, PRESETS} or old.get(path) == after.documents.get(path):
            continue
        way = (
            "added"
            if path not in old
            else "removed"
            if path not in after.documents
            else "changed"
        )
        yield sentence(f"board.change.file-{way}", language, path=path)


def _short(key: str) -> str:
    return key.removeprefix("ed25519:")[:SHOWN_OF_A_KEY]
