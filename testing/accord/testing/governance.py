# SPDX-License-Identifier: Apache-2.0
"""The policies of a world: a board of one that signs, agencies with keys, a hub.

The keys follow from the seed, and guard nothing.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.resources
import io
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ruamel.yaml import YAML

from accord.client.demo.casefiles import MONTHS, Agency
from accord.client.policy.founding import Founder, board_text
from accord.core.agreement_form import AgreementForm
from accord.core.document import parse_document
from accord.core.members import exchange_text, kem_text
from accord.core.policy import BOARD, MEMBERS
from accord.hub.identity.authority import Authority
from accord.rpc import pki
from accord.secagg.keys import SecretKeys
from accord.trust.keys import text_of
from accord.trust.proposal import Proposal

NETWORK = "world"

_ROUND = 50
"""Remits state persons a year in round figures."""

_LIFETIME = 1000
"""Epsilon that a person may lose for ever; a world ends before."""


def key(seed: int, name: str) -> Ed25519PrivateKey:
    """Return a key that belongs to *name* in every world of one seed."""
    made = hashlib.sha256(f"accord.testing/{seed}/{name}".encode()).digest()
    return Ed25519PrivateKey.from_private_bytes(made)


def agency_keys(seed: int, label: str) -> SecretKeys:
    """Return all keys of an agency."""
    return SecretKeys.from_seed(label, key(seed, label).private_bytes_raw())


def authority(seed: int, now: dt.datetime) -> Authority:
    """Return a hub's keys, in memory only."""
    private, certificate = pki.new_authority(NETWORK, now)
    return Authority(
        key=private,
        certificate=certificate,
        requisition_key=key(seed, "hub/requisition"),
        freshness_key=key(seed, "hub/freshness"),
    )


def example_agreement() -> str:
    """Return the text of the agreement that a world has where none is given."""
    return (importlib.resources.files(__package__) / "agreement.yaml").read_text()


def founded(
    chosen: Sequence[Agency], hub: Authority, text: str, seed: int, now: dt.datetime
) -> tuple[Proposal, AgreementForm]:
    """Return the first policies of a world, signed, and its agreement.

    Args:
        chosen: the agencies.
        hub: whose keys the policies name.
        text: of the agreement; its parties become these agencies.
        seed: of the world.
        now: when they are signed.

    Raises:
        DocumentError: the agreement is wrong, with every place.
    """
    text = _with_parties(text, [agency.label for agency in chosen])
    form = parse_document(text, AgreementForm, source="agreement")
    board = key(seed, "board")
    founder = Founder(name="Nobody", organisation="", key=text_of(board))
    model = f"models/{form.data_model}.yaml"
    shipped = importlib.resources.files("accord.policies")
    documents = {
        MEMBERS: _members(chosen, hub, seed).encode(),
        BOARD: board_text(
            board="world", threshold=1, members={"nobody": founder}, seats={}
        ).encode(),
        model: (shipped / model).read_bytes(),
        f"agreements/{form.agreement}.yaml": text.encode(),
    }
    proposal = Proposal.founding(documents, comment="a world for learning", now=now)
    return proposal.sign(board), form


def _with_parties(text: str, labels: Sequence[str]) -> str:
    """Return an agreement of these parties; the rest of its text stays."""
    yaml = YAML(typ="rt")
    yaml.width = 4096
    content = yaml.load(text)
    content["parties"] = list(labels)
    content["cohorts"] = {"all": "everyone"}
    out = io.StringIO()
    yaml.dump(content, out)
    return out.getvalue()


def _members(chosen: Sequence[Agency], hub: Authority, seed: int) -> str:
    """Return ``members.yaml``."""
    lines = [
        f"network: {NETWORK}",
        "hub:",
        f"  key: {hub.hub_form.key}",
        f"  freshness: {hub.hub_form.freshness}",
        "members:",
    ]
    for agency in chosen:
        public = agency_keys(seed, agency.label).public
        a_year = round(agency.cases * 12 / MONTHS / _ROUND) * _ROUND
        lines += [
            f"  {agency.label}:",
            f"    key: {text_of(key(seed, agency.label))}",
            f"    exchange: {exchange_text(public.exchange)}",
        ]
        if public.kem is not None:
            lines.append(f"    kem: {kem_text(public.kem)}")
        lines += [
            f"    name: Invented agency {agency.label}",
            "    remit:",
            "      description: Invented cases of the whole country",
            f"      persons_a_year: {max(a_year, 1)}",
            "    lifetime:",
            f"      zcdp: {{epsilon: {_LIFETIME}, delta: 1e-9}}",
            f"      pure: {{epsilon: {_LIFETIME}}}",
        ]
    return "\n".join(lines) + "\n"
