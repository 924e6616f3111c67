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

from accord.core.errors import InvalidQuery, suggestion
from accord.core.members import load_members
from accord.core.policy import MEMBERS

_WIDE = 4096


def enter_keys(
    text: str,
    *,
    network: str | None = None,
    hub: str | None = None,
    freshness: str | None = None,
    agencies: Mapping[str, str] | None = None,
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
    load_members(text, MEMBERS)
    yaml = YAML(typ="rt")
    yaml.version = (1, 2)
    yaml.preserve_quotes = True
    yaml.width = _WIDE
    content = yaml.load(text)
    if network is not None:
        content["network"] = network
    if hub or freshness:
        _enter_hub(content, hub, freshness)
    for entry, keys in (("key", agencies), ("signatory", signatories)):
        for label, key in (keys or {}).items():
            members = content["members"]
            if label not in members:
                raise InvalidQuery(
                    "MEMBER_UNKNOWN",
                    f"There is no agency {label!r} in {MEMBERS}."
                    + suggestion(label, members),
                )
            _enter(members[label], entry, key)
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


def _enter(member: Any, entry: str, key: str) -> None:  # noqa: ANN401 - ruamel's map
    """Set an entry; a new one stands second, so that no comment moves."""
    if entry in member:
        member[entry] = key
    else:
        member.insert(1, entry, key)
