# SPDX-License-Identifier: Apache-2.0
"""Entries that stand in for missing ones while a document is searched for mistakes.

What stands in is marked as broken (`accord.core.salvage`): no finding is about it, and
nothing is ever decided on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pydantic

from accord.core.agreement_form import AgreementForm
from accord.core.board import BoardForm, DeclarationForm
from accord.core.members import MembersForm
from accord.core.model import DataModelForm
from accord.core.preset import PresetForm
from accord.core.salvage import ANY

_AGREEMENT: Final = {
    "agreement": "unnamed",
    "version": 1,
    "purpose": ["unnamed"],
    "hub_operator": "unnamed",
    "parties": ["party-a", "party-b", "party-c"],
    "recipients": {"roles": ["unnamed"], "organisations": ["unnamed"]},
    "data_model": "unnamed",
    "editions": {"every": "month"},
    "may_ask": {"measures": ["persons"], "group_by": {}, "at_most_dimensions": 1},
    "protect": {"groups_per_person": 1, "at_least_agencies": 3},
    "spend": {
        "accounting": "zcdp",
        "each_release_at_most": {"epsilon": 1},
        "each_analyst": {"epsilon": 1, "every": 1},
        "everyone": {"epsilon": 1, "every": 1},
    },
    "approval": {"quorum": 1},
    "valid": {"from": "2000-01-01", "until": "2000-01-01", "review_by": "2000-01-01"},
}
_KEY: Final = "ed25519:" + "5ca1ab1e" * 8
_ON_BOARD: Final = {"name": "unnamed", "key": _KEY}
_AGENCY: Final = {
    "name": "unnamed",
    "remit": {"description": "unnamed"},
    "lifetime": {"zcdp": {"epsilon": 1000, "delta": 1e-9}, "pure": {"epsilon": 1000}},
}
STAND_INS: Final[Mapping[type[pydantic.BaseModel], Mapping[str, object]]] = {
    AgreementForm: _AGREEMENT,
    BoardForm: {
        "board": "unnamed",
        "threshold": 1,
        "members": {"unnamed": _ON_BOARD, ANY: _ON_BOARD},
    },
    MembersForm: {
        "network": "unnamed",
        "members": {"unnamed": _AGENCY, ANY: _AGENCY},
    },
    DataModelForm: {"data_model": "unnamed"},
    PresetForm: {"preset": "unnamed", "title": "unnamed", "because": ["unnamed"]},
    DeclarationForm: {"emergency": "unnamed", "reason": "unnamed"},
}
