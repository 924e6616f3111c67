# SPDX-License-Identifier: Apache-2.0
"""Asking, and reading what was released."""

from __future__ import annotations

from typing import Annotated

import typer

import accord.client as accord
from accord.client.cli.offering import Derived, for_nothing
from accord.client.cli.options import (
    AgreementOption,
    AsJson,
    By,
    Complete,
    Edition,
    Epsilon,
    Error,
    HubOption,
    InSql,
    Measure,
    ProfileOption,
    Purpose,
    Where,
    console,
    notices,
    only_agreement,
    print_json,
    require_spending,
)
from accord.client.cli.returning import print_pending, print_result
from accord.client.progress import end_early, waiting
from accord.client.question import Question
from accord.client.sending import Interrupted
from accord.client.tables import releases_table
from accord.core.errors import InvalidQuery


def query(
    sql: InSql = None,
    *,
    measure: Measure = None,
    by: By = None,
    where: Where = None,
    epsilon: Epsilon = None,
    error: Error = None,
    purpose: Purpose,
    agreement: AgreementOption = None,
    edition: Edition = "",
    complete: Complete = False,
    wait: Annotated[
        bool, typer.Option(help="Wait for the answer, or say at once how to come back.")
    ] = True,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds to wait at most.")
    ] = None,
    derived: Derived = None,
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Ask the agencies and print the answer with its error bars; Ctrl-C ends it."""
    require_spending(epsilon, error)
    with accord.connect(hub, profile=profile) as session:
        question = question_of(session, agreement, measure, by, where, edition, sql)
        free = for_nothing(
            question,
            epsilon=epsilon,
            error=error,
            purpose=purpose,
            complete=complete,
            derived=derived,
        )
        if free is not None:
            print_result(free, as_json=as_json)
            return
        try:
            pending = question.release(
                epsilon=epsilon,
                error=error,
                purpose=purpose,
                complete=complete,
                wait=False,
            )
        except Interrupted as early:
            end_early(early.sent, notices)
            raise
        if not wait and not pending.done:
            print_pending(pending, as_json=as_json)
            return
        result = waiting(pending, notices, timeout=timeout, quiet=as_json, cancels=True)
    print_result(result, as_json=as_json)


def price(
    sql: InSql = None,
    *,
    measure: Measure = None,
    by: By = None,
    where: Where = None,
    epsilon: Epsilon = None,
    error: Error = None,
    purpose: Purpose,
    agreement: AgreementOption = None,
    edition: Edition = "",
    complete: Complete = False,
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Show cost, exactness and time of an answer beforehand; charges nothing."""
    require_spending(epsilon, error)
    with accord.connect(hub, profile=profile) as session:
        question = question_of(session, agreement, measure, by, where, edition, sql)
        found = question.price(
            epsilon=epsilon, error=error, purpose=purpose, complete=complete
        )
    if as_json:
        print_json(found.as_json())
        return
    for line in found.lines:
        console.print(line, soft_wrap=True)
    if found.derivable_from:
        console.print(
            f"for nothing with ±{found.derivable_half_width:g}: it follows from "
            f"release {found.derivable_from} (accord query --derived)",
            soft_wrap=True,
        )


def releases(
    *,
    agreement: AgreementOption = None,
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """List what was released, newest first; asking for it again is free."""
    with accord.connect(hub, profile=profile) as session:
        found = list(session.releases(agreement or ""))
    if as_json:
        print_json({"releases": [release.as_json() for release in found]})
        return
    console.print(releases_table(found))


def question_of(
    session: accord.Hub,
    agreement: str | None,
    measure: str | None,
    by: list[str] | None,
    where: list[str] | None,
    edition: str,
    sql: str | None = None,
) -> Question:
    """Return the question that the options of a command mean, or its SELECT."""
    if sql is not None:
        if measure or by or where:
            raise InvalidQuery(
                "SQL_AND_OPTIONS",
                "The SELECT says what is counted, by what and where; leave --measure, "
                "--by and --where out.",
            )
        return session.sql_question(sql, agreement=agreement).edition(edition)
    name = only_agreement(session, agreement)
    question = session.agreement(name).measure(measure or "persons").by(*(by or []))
    for wanted in where or []:
        dimension, equals, values = wanted.partition("=")
        if not equals or not values:
            raise InvalidQuery(
                "FILTER_MALFORMED",
                "A filter is DIMENSION=VALUE or DIMENSION=VALUE,VALUE, such as "
                "--where exploitation_type=forced_labour.",
            )
        question = question.where(**{dimension: values.split(",")})
    return question.edition(edition)
