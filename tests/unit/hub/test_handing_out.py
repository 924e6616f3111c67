# SPDX-License-Identifier: Apache-2.0
"""Which agencies a signed file is for."""

from __future__ import annotations

import pytest

from accord.hub.policies import parties_of

FILES = {
    "metadata/1.agreement-x.json": b"{}",
    "targets/aa.members.yaml": b"",
    "targets/models/aa.cases-v1.yaml": b"",
    "targets/agreements/aa.x.yaml": b"parties: [alpha, beta]",
    "targets/agreements/bb.x.yaml": b"parties: [beta, gamma]",
    "targets/agreements/aa.y.yaml": b"parties: [delta]",
    "targets/agreements/cc.z.yaml": b"parties: [\xff",
    "targets/agreements/dd.z.yaml": b"- no agreement",
    "targets/emergencies/aa.x.yaml": b"emergency: x",
    "targets/emergencies/aa.w.yaml": b"emergency: w",
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("metadata/1.agreement-x.json", None),
        ("targets/aa.members.yaml", None),
        ("targets/models/aa.cases-v1.yaml", None),
        ("targets/agreements/aa.x.yaml", {"alpha", "beta"}),
        ("targets/agreements/bb.x.yaml", {"beta", "gamma"}),
        ("targets/agreements/cc.z.yaml", set()),
        ("targets/agreements/dd.z.yaml", set()),
        ("targets/emergencies/aa.x.yaml", {"alpha", "beta", "gamma"}),
        ("targets/emergencies/aa.w.yaml", set()),
    ],
)
def test_agreements_are_for_their_parties(name: str, expected: set[str] | None) -> None:
    assert parties_of(name, FILES) == expected
