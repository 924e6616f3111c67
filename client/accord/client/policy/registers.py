# SPDX-License-Identifier: Apache-2.0
"""What changes in the lists of people and keys, in sentences.

Agreements are compared by `accord.core.comparison`; this is for ``board.yaml``, the
people, keys, remits and lifetimes in ``members.yaml``, and declarations of emergencies.
Everything in the lists is said, also of an agency that is party to no agreement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from accord.core.board import BoardForm, BoardMemberForm
from accord.core.members import MemberForm, MembersForm, kem_digest
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
    elif before.board != after.board:
        yield sentence(
            "board.change.board-name", language, before=before.board, name=after.board
        )
    if before is not None and before.threshold != after.threshold:
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
        previous = old.get(label)
        if previous is None:
            yield sentence("board.change.member-joins", language, **values)
        elif previous.key != member.key:
            yield sentence("board.change.member-key", language, **values)
        yield from _renamed("member", label, previous, member, language)
        organisation = previous.organisation if previous else None
        if member.organisation != organisation:
            way = "none" if member.organisation is None else "organisation"
            yield sentence(
                f"board.change.member-{way}",
                language,
                organisation=member.organisation or "",
                before=organisation or "",
                **values,
            )
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
        yield from _keys(previous, member, values, language)
        yield from _renamed("agency", label, previous, member, language)
        yield from _remit(previous, member, values, language)
        yield from _lifetime(previous, member, values, language)
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


def _keys(
    before: MemberForm | None,
    after: MemberForm,
    values: Mapping[str, str],
    language: str,
) -> Iterator[str]:
    """Yield keys that change; of an agency that gets its first, also a lack of one."""
    begins = after.key is not None and (before is None or before.key is None)
    for entry in ("key", "exchange", "kem", "signatory"):
        key = getattr(after, entry)
        lacks = begins and entry == "kem" and key is None
        if lacks or key != (getattr(before, entry) if before else None):
            way = f"{entry}-none" if key is None else entry
            yield sentence(
                f"board.change.agency-{way}",
                language,
                key=_short(key) if key else "",
                **values,
            )


def _renamed(
    kind: str,
    label: str,
    before: BoardMemberForm | MemberForm | None,
    after: BoardMemberForm | MemberForm,
    language: str,
) -> Iterator[str]:
    if before is not None and before.name != after.name:
        yield sentence(
            f"board.change.{kind}-name",
            language,
            label=label,
            before=before.name,
            name=after.name,
        )


def _remit(
    before: MemberForm | None,
    after: MemberForm,
    values: Mapping[str, str],
    language: str,
) -> Iterator[str]:
    """Yield what an agency is there for; of one that joins all, else what changes."""
    old, new = before.remit if before else None, after.remit
    if old is None or old.description != new.description:
        text = new.description
        yield sentence("board.change.agency-remit", language, text=text, **values)
    for dimension in sorted({*new.covers, *(old.covers if old else ())}):
        covered = new.covers.get(dimension)
        if covered != (old.covers.get(dimension) if old else None):
            yield sentence(
                f"board.change.agency-covers{'' if covered else '-all'}",
                language,
                dimension=dimension,
                covered=", ".join(covered or ()),
                **values,
            )
    persons = new.persons_a_year
    if persons != (old.persons_a_year if old else None):
        yield sentence(
            f"board.change.agency-persons{'-none' if persons is None else ''}",
            language,
            persons="" if persons is None else persons,
            **values,
        )
    said = old.definitions if old else {}
    for dimension in sorted({*new.definitions, *said}):
        definition = new.definitions.get(dimension)
        if definition != said.get(dimension):
            yield sentence(
                f"board.change.agency-definition{'' if definition else '-none'}",
                language,
                dimension=dimension,
                text=definition or "",
                **values,
            )


def _lifetime(
    before: MemberForm | None,
    after: MemberForm,
    values: Mapping[str, str],
    language: str,
) -> Iterator[str]:
    """Yield the caps over all agreements, also of an agency that has none yet."""
    if before is not None and before.lifetime == after.lifetime:
        return
    caps = {"after": after.lifetime} | ({"before": before.lifetime} if before else {})
    shown = {
        f"{kind}_{when}": f"{float(value):.12g}"
        for when, caps_then in caps.items()
        for kind, value in (
            ("zcdp", caps_then.zcdp.epsilon),
            ("delta", caps_then.zcdp.delta),
            ("pure", caps_then.pure.epsilon),
        )
    }
    way = "agency-lifetime" if before is None else "agency-lifetime-changed"
    yield sentence(f"board.change.{way}", language, **shown, **values)


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
    if key.startswith("mlkem768:"):
        return kem_digest(key)
    return key.partition(":")[2][:SHOWN_OF_A_KEY]
