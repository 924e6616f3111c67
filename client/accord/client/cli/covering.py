# SPDX-License-Identifier: Apache-2.0
"""What enough agencies cover, before anybody asks."""

from __future__ import annotations

import accord.client as accord
from accord.client.cli.asking import question_of
from accord.client.cli.options import (
    AgreementOption,
    AsJson,
    By,
    Edition,
    HubOption,
    Measure,
    ProfileOption,
    Where,
    console,
    only_agreement,
    print_json,
)


def coverage(
    *,
    measure: Measure = None,
    by: By = None,
    where: Where = None,
    agreement: AgreementOption = None,
    edition: Edition = "",
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Show which figures enough agencies cover: of a question, or all; asks nobody."""
    with accord.connect(hub, profile=profile) as session:
        if measure or by or where:
            question = question_of(session, agreement, measure, by, where, edition)
            found = question.coverage()
        else:
            found = session.agreement(only_agreement(session, agreement)).coverage()
    if as_json:
        print_json(found.as_json())
        return
    for line in found.lines():
        console.print(line, soft_wrap=True)
