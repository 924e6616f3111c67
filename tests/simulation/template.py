# SPDX-License-Identifier: Apache-2.0
"""A hub and five agencies as they are when the first question comes, made once.

Histories begin with copies of what programs change: databases, the number beside them,
and policies. Stores, keys and settings are the template's own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.agent.answer import StoreAnswerer
from accord.agent.keys.files import write_secret
from accord.agent.network.identity import IdentityFiles, Membership
from accord.agent.settings import Settings
from accord.core.decide import Analyst
from accord.hub.cli import running
from accord.hub.db.engine import Store
from accord.hub.governance.standing import Standing
from accord.hub.identity import registry
from accord.hub.identity.authority import Authority, load_authority
from accord.hub.state import State
from accord.rpc.address import parse_address
from accord.rpc.pki import (
    certificate_request,
    expiry_of,
    key_pem,
    new_key,
    serial_of,
)
from accord.rpc.tokens import TokenKind, mint
from accord.trust.keys import text_of
from accord.trust.proposal_file import to_file
from accord.trust.repository import Repository
from accord.trust.trusted import Trusted
from tests.policies import fetching, founding, proposed, served
from tests.simulation.patching import silence
from tests.unit.agent.agencies import MODEL_TEXT
from tests.unit.agent.agency_world import seed_of, stored
from tests.unit.agent.agreements import AGREEMENT_TEXT, MEMBERS_TEXT, PATH
from tests.unit.hub.world import store_of


def _edited(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


START: Final = dt.datetime(2026, 3, 5, 12, tzinfo=dt.UTC)

PARTIES: Final = ("clinic", "hotline", "inspection", "police", "shelter")

FALLBACK: Final = ("hotline", "police", "shelter")

ANALYSTS: Final = ("ana", "ben")

WIDE: Final = "small-trends"
NEAR: Final = "near"

_BUDGETS: Final = (
    ("each_release_at_most: {epsilon: 3}", "each_release_at_most: {epsilon: 1}"),
    ("each_analyst: {epsilon: 30,", "each_analyst: {epsilon: 1.2,"),
    ("everyone: {epsilon: 60,", "everyone: {epsilon: 1.6,"),
)
"""For everyone two questions of the dearest kind, and one for each analyst."""

_WIDE: Final = _edited(
    AGREEMENT_TEXT, ("  others: [police, hotline, clinic]\n", ""), *_BUDGETS
)
"""All five, or three of them where others are missing; the hub adds the noise."""

_NEAR: Final = _edited(
    _WIDE,
    ("agreement: small-trends", "agreement: near"),
    (", clinic, inspection]", "]"),
    ("  fallback: [shelter, police, hotline]\n", ""),
    ("  noise: hub\n  hub_sees_exact_pooled_sums: accepted", "  noise: shared"),
)
"""Three only, who share the noise with the hub."""

_MEMBERS: Final = MEMBERS_TEXT.replace("zcdp: {epsilon: 100,", "zcdp: {epsilon: 3,")

_CERTIFICATE: Final = dt.timedelta(days=400)
"""Nobody renews one in a history."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """Where everything lies, and what the board will decide."""

    root: Path
    tokens: tuple[str, ...]
    """Of the analysts."""
    changes: tuple[bytes, ...]
    """Signed proposals, each on top of the one before."""


def make_template(root: Path) -> Template:
    """Make it; takes some seconds."""
    state = State(root / "hub")
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        for module in ("accord.hub.cli.common", "accord.hub.cli.running"):
            patch.setattr(f"{module}.now", _start)
        running.init(
            host=["127.0.0.1"],
            network="small-network",
            listen="127.0.0.1",
            public_port=0,
            agent_port=0,
            state=state.root,
            as_json=True,
        )
    authority = load_authority(state.keys, START)
    with silence():
        tokens, repository = _govern(state, authority)
        for label in PARTIES:
            _enrol(root / label, label, state, authority, repository)
    return Template(root=root, tokens=tokens, changes=tuple(_changes(repository)))


def _start() -> dt.datetime:
    return START


def standing_of(state: State, store: Store, now: dt.datetime) -> Standing:
    """Return the policies of a hub as another process on its machine sees them."""
    standing = Standing(
        folder=state.policies,
        store=store,
        authority=load_authority(state.keys, now),
        clock=lambda: now,
    )
    standing.begin(sign=False)
    return standing


def _govern(state: State, authority: Authority) -> tuple[tuple[str, ...], Repository]:
    """Let the board sign its first policies, and analysts get their tokens."""
    form = authority.hub_form
    proposal = founding(
        {
            "members.yaml": _MEMBERS,
            "models/small.yaml": MODEL_TEXT,
            PATH: _WIDE,
            f"agreements/{NEAR}.yaml": _NEAR,
        },
        hub_key=form.key,
        freshness_key=form.freshness,
        agencies={label: _key(label) for label in PARTIES},
        now=START - dt.timedelta(days=1),
    )
    tokens = []
    with contextlib.closing(store_of(state)) as store:
        standing = standing_of(state, store, START)
        standing.publish(standing.prepare(proposal), by=None)
        for name in ANALYSTS:
            token = mint(TokenKind.ANALYST, authority.fingerprint)
            analyst = Analyst(
                id=name, organisation="observatory", roles=frozenset({"analyst"})
            )
            with store.write() as tx:
                registry.add_analyst(tx, analyst, token.secret_digest(), now=START)
            tokens.append(str(token))
        assert standing.in_force is not None
        return tuple(tokens), standing.in_force.stored.repository


def _key(label: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seed_of(label))


def _enrol(
    root: Path, label: str, hub: State, authority: Authority, repository: Repository
) -> None:
    """Make an agency with records, policies, frozen editions and a certificate."""
    state = stored(root, label)
    private = new_key()
    certificate = authority.issue(
        certificate_request(private),
        agency=label,
        network="small-network",
        lifetime=_CERTIFICATE,
        now=START,
    )
    with contextlib.closing(store_of(hub)) as store, store.write() as tx:
        registry.record_certificate(
            tx,
            label,
            serial_of(certificate),
            agency_key=text_of(_key(label)),
            now=START,
            expires_at=expiry_of(certificate),
            renewed=False,
        )
    files = IdentityFiles(state.keys)
    write_secret(state.keys / "identity.key", key_pem(private))
    files.save(
        Membership(agency=label, hub=parse_address("127.0.0.1:1")),
        certificate=certificate,
        authority=authority.certificate,
    )
    Trusted(state.policies, label).pin(repository.root())
    answerer = StoreAnswerer(state, agency=label, settings=Settings(), clock=_start)
    files_of = served(repository, authority.freshness_key, now=START)
    assert answerer.refresh(fetching(files_of))
    assert answerer.editions()


def _changes(repository: Repository) -> Iterator[bytes]:
    """Yield what the board decides later: the same agreement, a little tighter."""
    text = _WIDE
    for version in (3, 4):
        text = text.replace(f"version: {version - 1}", f"version: {version}")
        proposal = proposed(repository, {PATH: text}, now=START)
        repository = proposal.onto(repository)
        yield to_file(proposal)
