# SPDX-License-Identifier: Apache-2.0
"""A hub's log of questions as JSON lines, so that drafts can be tried without a hub.

One object a line, oldest first; times are ISO 8601 with a zone, losses in billionths.
A log holds who asked what and why, and no figure of any answer.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable
from fractions import Fraction
from typing import Annotated, Literal

import pydantic

from accord.core.decide import Analyst
from accord.core.errors import InvalidQuery
from accord.core.privacy import Loss
from accord.core.simulate import AskedQuery
from accord.v1 import policy_pb2

LARGEST = 200_000_000
"""Bytes of a log that is read at once."""

_Short = Annotated[str, pydantic.Field(max_length=200)]
_Nano = Annotated[int, pydantic.Field(ge=0, lt=2**63, strict=True)]


class _Line(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", hide_input_in_errors=True)

    v: Literal[1] = 1
    asked_at: pydantic.AwareDatetime
    edition: _Short
    measure: _Short
    group_by: list[tuple[_Short, _Short | None]] = []
    where: dict[_Short, list[_Short]] = {}
    analyst: _Short
    organisation: _Short
    roles: list[_Short]
    purpose: _Short
    epsilon: Annotated[float, pydantic.Field(gt=0, allow_inf_nan=False)]
    agreement_version: Annotated[int, pydantic.Field(ge=0)] = 0
    permitted: bool
    denied_by: list[_Short] = []
    nano_rho: _Nano = 0
    nano_epsilon: _Nano = 0
    from_archive: bool = False


def read_log(text: str, source: str) -> list[AskedQuery]:
    """Return the questions of a log; empty lines are passed over.

    Raises:
        InvalidQuery: LOG_MALFORMED, with the first line that is none.
    """
    found: list[AskedQuery] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            found.append(_asked(_Line.model_validate_json(line)))
        except pydantic.ValidationError as error:
            detail = error.errors()[0]
            entry = ".".join(str(part) for part in detail["loc"]) or "line"
            raise InvalidQuery(
                "LOG_MALFORMED",
                f"{source}:{number}: {entry}: {detail['msg']}. A log of questions has"
                " one JSON object a line, as `accord policy simulate --save` writes.",
            ) from None
    return found


def write_log(log: Iterable[AskedQuery]) -> str:
    """Return questions as JSON lines."""
    return "".join(json.dumps(_line(each), ensure_ascii=False) + "\n" for each in log)


def from_message(message: policy_pb2.AskedQuery) -> AskedQuery:
    """Return a question as the hub tells it."""
    return AskedQuery(
        asked_at=datetime.datetime.fromtimestamp(message.asked_at, datetime.UTC),
        edition=message.query.edition,
        measure=message.query.measure,
        group_by=tuple((g.dimension, g.level or None) for g in message.query.group_by),
        where=tuple((f.dimension, tuple(f.values)) for f in message.query.where),
        analyst=Analyst(
            id=message.analyst,
            organisation=message.organisation,
            roles=frozenset(message.roles),
        ),
        purpose=message.purpose,
        epsilon=Fraction(repr(message.epsilon)),
        agreement_version=message.agreement_version,
        permitted=message.permitted,
        denied_by=tuple(message.denied_by),
        loss=Loss(
            nano_rho=message.loss.nano_rho, nano_epsilon=message.loss.nano_epsilon
        ),
        from_archive=message.from_archive,
    )


def _asked(line: _Line) -> AskedQuery:
    return AskedQuery(
        asked_at=line.asked_at,
        edition=line.edition,
        measure=line.measure,
        group_by=tuple(line.group_by),
        where=tuple((name, tuple(values)) for name, values in line.where.items()),
        analyst=Analyst(
            id=line.analyst,
            organisation=line.organisation,
            roles=frozenset(line.roles),
        ),
        purpose=line.purpose,
        epsilon=Fraction(repr(line.epsilon)),
        agreement_version=line.agreement_version,
        permitted=line.permitted,
        denied_by=tuple(line.denied_by),
        loss=Loss(nano_rho=line.nano_rho, nano_epsilon=line.nano_epsilon),
        from_archive=line.from_archive,
    )


def _line(asked: AskedQuery) -> dict[str, object]:
    return {
        "v": 1,
        "asked_at": asked.asked_at.isoformat(),
        "edition": asked.edition,
        "measure": asked.measure,
        "group_by": [list(group) for group in asked.group_by],
        "where": {name: list(values) for name, values in asked.where},
        "analyst": asked.analyst.id,
        "organisation": asked.analyst.organisation,
        "roles": sorted(asked.analyst.roles),
        "purpose": asked.purpose,
        "epsilon": float(asked.epsilon),
        "agreement_version": asked.agreement_version,
        "permitted": asked.permitted,
        "denied_by": list(asked.denied_by),
        "nano_rho": asked.loss.nano_rho,
        "nano_epsilon": asked.loss.nano_epsilon,
        "from_archive": asked.from_archive,
    }
