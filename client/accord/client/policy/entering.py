# SPDX-License-Identifier: Apache-2.0
"""Entering keys in ``members.yaml``; comments and layout stay as they are."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import CommentMark
from ruamel.yaml.tokens import CommentToken

from accord.client.policy.agency_keys import AgencyKeys
from accord.core.document import parse_document
from accord.core.errors import InvalidQuery, suggestion
from accord.core.members import MembersForm, load_members
from accord.core.policy import MEMBERS

_WIDE = 4096


def enter_keys(
    text: str,
    *,
    network: str | None = None,
    hub: str | None = None,
    freshness: str | None = None,
    agencies: Mapping[str, AgencyKeys] | None = None,
    signatories: Mapping[str, str] | None = None,
) -> str:
    """Return ``members.yaml`` with these public keys in it.

    Args:
        text: the document.
        network: its new name.
        hub: signs requisitions; needs *freshness* where there is none yet.
        freshness: the hub's other key.
        agencies: of their agents, by label.
        signatories: of those who sign for an agency, by label.

    Raises:
        DocumentError: the document is wrong, or would be.
        InvalidQuery: MEMBER_UNKNOWN or HUB_KEYS_INCOMPLETE.
    """
    # What belongs together is checked at the end: these keys may be what is missing.
    parse_document(text, MembersForm, source=MEMBERS)
    yaml = YAML(typ="rt")
    yaml.version = (1, 2)
    yaml.preserve_quotes = True
    yaml.width = _WIDE
    content = yaml.load(text)
    if network is not None:
        content["network"] = network
    if hub or freshness:
        _enter_hub(content, hub, freshness)
    members = content["members"]
    for label, own in (agencies or {}).items():
        place = 1
        for entry, key in own.entries().items():
            place = 1 + _enter(_member(members, label), entry, key, place)
    for label, signatory in (signatories or {}).items():
        _enter(_member(members, label), "signatory", signatory, 1)
    out = io.StringIO()
    yaml.version = None
    yaml.dump(content, out)
    changed = out.getvalue()
    load_members(changed, MEMBERS)
    return changed


def _enter_hub(content: CommentedMap, hub: str | None, freshness: str | None) -> None:
    if content.get("hub") is None:
        if not (hub and freshness):
            raise InvalidQuery(
                "HUB_KEYS_INCOMPLETE",
                "A hub has two keys: give --hub-key and --freshness-key, both as "
                "`accord-hub keys` prints them.",
            )
        content.pop("hub", None)
        keys = CommentedMap(key=hub, freshness=freshness)
        blank = CommentToken("\n\n", CommentMark(0), None)
        keys.ca.items["freshness"] = [None, None, blank, None]
        content.insert(1, "hub", keys)
        return
    if hub:
        content["hub"]["key"] = hub
    if freshness:
        content["hub"]["freshness"] = freshness


def _member(members: Any, label: str) -> Any:  # noqa: ANN401 - ruamel's maps
    if label not in members:
        raise InvalidQuery(
            "MEMBER_UNKNOWN",
            f"There is no agency {label!r} in {MEMBERS}." + suggestion(label, members),
        )
    return members[label]


def _enter(
    member: Any,  # noqa: ANN401 - ruamel's map
    entry: str,
    key: str | None,
    place: int,
) -> int:
    """Set an entry, or take it away; a new one stands at *place*.

    From the second place on no comment moves.

    Returns:
        Where the entry stands, or the place before it where it does not.
    """
    if key is None:
        member.pop(entry, None)
        return place - 1
    if entry in member:
        member[entry] = key
    else:
        member.insert(place, entry, key)
    return list(member).index(entry)
