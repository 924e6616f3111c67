# SPDX-License-Identifier: Apache-2.0
"""A question as staff types it: options become what an analyst would ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from accord.agent.policies import AgencyPolicies
from accord.core.calendar import is_edition
from accord.core.errors import InvalidQuery, NotFound, PreconditionFailed, suggestion
from accord.core.policy import Policy
from accord.core.query import Query, canonical_query

AgreementOption = Annotated[
    str | None,
    typer.Option(
        "--agreement", help="Else the only one that there is.", show_default=False
    ),
]
MeasureOption = Annotated[
    str, typer.Option("--measure", help="persons or cases, or what agreements list.")
]
ByOption = Annotated[
    list[str] | None,
    typer.Option(
        "--by",
        metavar="DIMENSION[:LEVEL]",
        help="May be given again, or hold several with commas.",
        show_default=False,
    ),
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="DIMENSION=VALUE,VALUE",
        help="Only these; may be given again.",
        show_default=False,
    ),
]
EditionOption = Annotated[
    str | None,
    typer.Option(
        "--edition",
        help="A frozen edition, such as 2026-09; else the newest.",
        show_default=False,
    ),
]


def policy_named(policies: AgencyPolicies, name: str | None) -> Policy:
    """Return an agreement of this agency.

    Raises:
        PreconditionFailed: POLICIES_MISSING
        InvalidQuery: AGREEMENT_NEEDED, there are several.
        NotFound: AGREEMENT_UNKNOWN
    """
    known = {policy.name: policy for policy in policies.policies()}
    if not known:
        raise PreconditionFailed(
            "POLICIES_MISSING",
            "This agency holds no agreement yet: `accord-agent run` fetches them.",
        )
    if name is None and len(known) > 1:
        names = ", ".join(sorted(known))
        raise InvalidQuery(
            "AGREEMENT_NEEDED",
            f"This agency is in several agreements ({names}): choose one with"
            " --agreement.",
        )
    found = next(iter(known.values())) if name is None else known.get(name)
    if found is None:
        raise NotFound(
            "AGREEMENT_UNKNOWN",
            f"This agency is in no agreement {name!r}.{suggestion(name or '', known)}",
        )
    return found


def query_worded(
    policy: Policy,
    edition: str,
    *,
    measure: str,
    by: Sequence[str] | None,
    where: Sequence[str] | None,
) -> Query:
    """Return the question that the options mean.

    Raises:
        InvalidQuery: EDITION_INVALID, FILTER_MALFORMED, DUPLICATE_FILTER, or as
            `canonical_query`.
    """
    if not is_edition(edition):
        raise InvalidQuery(
            "EDITION_INVALID",
            f"{edition!r} is not the name of an edition, such as 2026-09 or 2026-Q3.",
        )
    return canonical_query(
        agreement=policy.name,
        edition=edition,
        measure=measure,
        group_by=list(_groups(by or ())),
        where=_filters(where or ()),
        model=policy.model,
    )


def _groups(by: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    for each in by:
        for part in filter(None, map(str.strip, each.split(","))):
            dimension, _, level = part.partition(":")
            yield dimension, level or None


def _filters(where: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in where:
        dimension, equals, values = (part.strip() for part in each.partition("="))
        if not (dimension and equals and values):
            raise InvalidQuery(
                "FILTER_MALFORMED",
                "A filter has the form DIMENSION=VALUE,VALUE, such as"
                " --where region=norvale,eastmere.",
            )
        if dimension in found:
            raise InvalidQuery(
                "DUPLICATE_FILTER",
                f"There are two filters on {dimension!r}: give all values in one.",
            )
        found[dimension] = [part.strip() for part in values.split(",")]
    return found
