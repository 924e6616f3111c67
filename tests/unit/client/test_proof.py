# SPDX-License-Identifier: Apache-2.0
"""`accord release ID --proof`: what an analyst reads, keeps, and is warned of."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.client.proof import proof_from_json
from accord.core.canonical import bytes_digest, canonical_bytes
from accord.core.members import load_members
from accord.merkle.heads import SignedHead, TreeHead, Witnessed
from accord.merkle.tree import prove_inclusion, root_of
from accord.rpc.contact import cosignature_to_message, head_to_message
from accord.trust.keys import text_of
from accord.v1 import analyst_pb2 as pb
from accord.v1 import log_pb2
from tests.policies import key
from tests.unit.client.hub_double import Accord, AnalystHub, release
from tests.unit.merkle.trees import Log

HUB = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
MEMBERS = f"""\
network: small
hub:
  key: {text_of(HUB)}
  freshness: {text_of(key("freshness"))}
members:
""" + "".join(
    f"""\
  {name}:
    name: The {name}
    remit: {{description: what a {name} does}}
    lifetime: {{zcdp: {{epsilon: 100, delta: 1e-9}}, pure: {{epsilon: 100}}}}
    key: {text_of(key(name))}
    exchange: "x25519:{"1f" * 32}"
"""
    for name in ("clinic", "police")
)


@pytest.fixture
def members(tmp_path: Path) -> Path:
    file = tmp_path / "members.yaml"
    file.write_text(MEMBERS)
    return file


@pytest.fixture
def stored(hub: AnalystHub) -> str:
    """Return a release that stands in a log of 40 entries, which two have cosigned."""
    published = release()
    message = published.SerializeToString(deterministic=True)
    facts = {"release": published.id, "release_digest": bytes_digest(message)}
    content = {"number": 8, "at": 1, "event": "release.published", "facts": facts}
    entries = [b"%d" % number for number in range(40)]
    entries[7] = canonical_bytes(content)
    log = Log(entries)
    head = TreeHead(
        size=40,
        root=root_of(40, log.nodes),
        at=datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC),
        ledger_height=5,
        epoch=0,
    )
    hub.proofs[published.id] = pb.ProveReleaseResponse(
        proof=log_pb2.LogProof(
            entry=entries[7],
            index=7,
            path=prove_inclusion(7, 40, log.nodes),
            head=head_to_message(SignedHead.sign(head, HUB)),
            witnesses=[
                log_pb2.WitnessCosignature(
                    agency=name,
                    cosignature=cosignature_to_message(
                        Witnessed.sign(head, name, key(name))
                    ),
                )
                for name in ("clinic", "police", "gone")
            ],
        ),
        release=message,
    )
    return published.id


def test_a_proof_is_told_in_words(stored: str, run: Accord, members: Path) -> None:
    status, out, _ = run("release", stored, "--proof", "--members", str(members))
    assert status == 0
    assert out.splitlines() == [
        (
            f"release {stored} is entry 8 of the hub's log, which had 40 entries at"
            " 2026-03-01 12:00:00 UTC"
        ),
        "the release is, byte for byte, the one that was published",
        (
            "signed by the hub; agencies that saw the log only grow to there: clinic,"
            " police"
        ),
    ]


def test_without_keys_it_says_that_nothing_was_signed(stored: str, run: Accord) -> None:
    _, out, _ = run("release", stored, "--proof")
    assert "no signature was checked" in out
    assert "signed by the hub;" not in out


def test_a_proof_can_be_kept_and_checked_without_the_hub(
    stored: str, run: Accord, members: Path
) -> None:
    _, out, _ = run("release", stored, "--proof", "--members", str(members), "--json")
    found = json.loads(out)
    assert found["proven"] == {
        "release": stored,
        "number": 8,
        "entries": 40,
        "at": "2026-03-01T12:00:00+00:00",
        "signed": True,
        "witnesses": ["clinic", "police"],
    }
    kept = proof_from_json(json.loads(json.dumps(found["proof"])))
    form = load_members(MEMBERS, "members.yaml")
    assert kept.verify(form).as_json() == found["proven"]
    assert kept.result.id == stored


def test_a_proof_of_something_else_is_refused(
    hub: AnalystHub, stored: str, run: Accord, members: Path
) -> None:
    hub.proofs[stored].release += b"\x08\x01"
    status, _, err = run("release", stored, "--proof", "--json")
    assert status == 70
    assert json.loads(err)["error"]["reason"] == "RELEASE_UNPROVEN"
    other = members.with_name("other.yaml")
    other.write_text(MEMBERS.replace(text_of(HUB), text_of(key("another"))))
    hub.proofs[stored].release = hub.proofs[stored].release[:-2]
    status, _, err = run("release", stored, "--proof", "--members", str(other))
    assert status == 70
    assert "has not signed the log" in err


def test_what_is_given_wrongly_is_told(stored: str, run: Accord, members: Path) -> None:
    status, _, err = run("release", stored, "--members", str(members))
    assert (status, "goes with --proof only" in err) == (2, True)
    none = str(members.with_name("none.yaml"))
    status, _, err = run("release", stored, "--proof", "--members", none)
    assert (status, "cannot be read" in err) == (3, True)
