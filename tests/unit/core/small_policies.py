# SPDX-License-Identifier: Apache-2.0
"""Small sets of policies to compare: five agencies, a board of three with a seat."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Mapping
from typing import Any

from accord.core.policy import Policy, PolicySet, load_policy_set
from tests.member_keys import other_keys

MODEL: dict[str, Any] = {
    "data_model": "tiny-1",
    "dimensions": {
        "age": {
            "title": "Age",
            "levels": ["fine", "broad"],
            "values": {"young": ["0-8", "9-17"], "grown": ["18-20", "21+"]},
        },
        "place": {"title": "Place", "levels": ["place"], "values": ["north", "south"]},
        "kind": {
            "title": "Kind",
            "levels": ["kind"],
            "values": ["a", "b"],
            "multi": 2,
        },
    },
}
PARTIES = ["health", "hotline", "police", "shelter", "work"]
AGREEMENT: dict[str, Any] = {
    "agreement": "trends",
    "version": 1,
    "purpose": ["planning"],
    "hub_operator": "observatory",
    "parties": PARTIES,
    "cohorts": {"all": "everyone", "some": ["health", "hotline", "police"]},
    "recipients": {"roles": ["analyst"], "organisations": ["university"]},
    "data_model": "tiny-1",
    "editions": {"every": "quarter", "embargo": 30},
    "may_ask": {
        "measures": ["persons"],
        "group_by": {"age": "broad", "place": "all"},
        "at_most_dimensions": 2,
    },
    "protect": {"groups_per_person": 3},
    "spend": {
        "accounting": "zcdp",
        "delta": 1e-9,
        "each_release_at_most": {"epsilon": 2},
        "each_analyst": {"epsilon": 6, "every": 90},
        "everyone": {"epsilon": 12, "every": 365},
    },
    "approval": {"quorum": 2, "loosening_needs": ["survivors"]},
    "valid": {"from": "2026-01-01", "until": "2027-12-31", "review_by": "2027-06-30"},
}


def key(name: str) -> str:
    """Return a public key as text; no private one is needed to compare."""
    return "ed25519:" + name.encode().hex().ljust(64, "0")[:64]


BOARD: dict[str, Any] = {
    "board": "council",
    "threshold": 2,
    "members": {
        name: {"name": name.title(), "key": key(name)}
        for name in ("alice", "bela", "chidi")
    },
    "seats": {"survivors": "alice"},
}
MEMBERS: dict[str, Any] = {
    "network": "net",
    "hub": {"key": key("hub"), "freshness": key("fresh")},
    "members": {
        name: {
            "name": name,
            "remit": {"description": name},
            "lifetime": {
                "zcdp": {"epsilon": 30, "delta": 1e-9},
                "pure": {"epsilon": 10},
            },
            "key": key(f"agent {name}"),
            **other_keys(key(f"agent {name}")),
            "signatory": key(f"signs {name}"),
        }
        for name in [*PARTIES, "other"]
    },
}


def changed(document: Mapping[str, Any], **entries: object) -> dict[str, Any]:
    """Return a copy of a document with entries set; ``a__b`` is ``b`` within ``a``.

    An entry that is set to ``...`` is left out.
    """
    copied = copy.deepcopy(dict(document))
    for path, value in entries.items():
        *above, last = path.split("__")
        node = copied
        for name in above:
            node = node.setdefault(name, {})
        if value is ...:
            node.pop(last, None)
        else:
            node[last] = value
    return copied


@functools.lru_cache(maxsize=1024)
def _loaded(documents: tuple[tuple[str, bytes], ...]) -> PolicySet:
    return load_policy_set(dict(documents))


def policy_set(
    *agreements: Mapping[str, Any],
    board: Mapping[str, Any] | None = BOARD,
    members: Mapping[str, Any] = MEMBERS,
    model: Mapping[str, Any] = MODEL,
    presets: tuple[Mapping[str, Any], ...] = (),
) -> PolicySet:
    """Return a set of these documents, read and checked as boards' texts are."""
    found: dict[str, Mapping[str, Any]] = {
        "members.yaml": members,
        f"models/{model['data_model']}.yaml": model,
    }
    if board is not None:
        found["board.yaml"] = board
    found |= {f"presets/{each['preset']}.yaml": each for each in presets}
    found |= {f"agreements/{each['agreement']}.yaml": each for each in agreements}
    texts = {path: json.dumps(entry).encode() for path, entry in found.items()}
    return _loaded(tuple(sorted(texts.items())))


def policy(
    agreement: Mapping[str, Any] = AGREEMENT,
    *,
    members: Mapping[str, Any] = MEMBERS,
    model: Mapping[str, Any] = MODEL,
    presets: tuple[Mapping[str, Any], ...] = (),
) -> Policy:
    """Return one agreement with what it depends on."""
    found = policy_set(agreement, members=members, model=model, presets=presets)
    (only,) = found.policies()
    return only
