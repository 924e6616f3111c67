# SPDX-License-Identifier: Apache-2.0
"""An agreement's file, read with everything that its meaning depends on."""

from __future__ import annotations

from pathlib import Path

from accord.client.policy.folder import documents_around
from accord.core.errors import InvalidQuery
from accord.core.policy import AGREEMENTS, Policy, PolicySet, load_policy_set


def policy_in(file: Path) -> tuple[Policy, PolicySet]:
    """Return the agreement in *file*, and all policies of its folder.

    Raises:
        DocumentError: a document has problems; all are named.
        InvalidQuery: NOT_AN_AGREEMENT.
        ConfigurationError: FOLDER_UNREADABLE, DOCUMENT_MISNAMED, DOCUMENT_INVALID.
    """
    documents, path = documents_around(file)
    policies = load_policy_set(documents)
    name = path.removeprefix(f"{AGREEMENTS}/").removesuffix(".yaml")
    policy = policies.policy(name) if path.startswith(f"{AGREEMENTS}/") else None
    if policy is None:
        raise InvalidQuery(
            "NOT_AN_AGREEMENT",
            f"{file} is no agreement; name a file such as agreements/NAME.yaml.",
        )
    return policy, policies
