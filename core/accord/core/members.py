# SPDX-License-Identifier: Apache-2.0
"""The agencies of a network and the hub that serves it, as boards sign them.

Who is not in ``members.yaml``, or has no key there, exists for nobody.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from typing import Annotated, Final

import pydantic

from accord.core.agreement_form import (
    Cap,
    Delta,
    Label,
    Line,
    PositiveDecimal,
    Word,
)
from accord.core.document import (
    DocumentError,
    Strict,
    parse_document,
    problem_at,
    worded,
)
from accord.core.messages import sentence
from accord.core.model import Name

KEY = r"ed25519:[0-9a-f]{64}"
"""How public keys to verify signatures are written everywhere."""

EXCHANGE = r"x25519:[0-9a-f]{64}"
"""How public keys for X25519 are written."""

KEM = r"mlkem768:[A-Za-z0-9+/]{1578}[AEIMQUYcgkosw048]="
"""How public keys for ML-KEM-768 are written: base64, each in one way only."""

_EXCHANGE_BYTES: Final = 32
_KEM_BYTES: Final = 1184
_SHOWN_OF_A_DIGEST: Final = 16

KeyText = Annotated[
    str,
    worded(KEY, "a key is written ed25519: and 64 hexadecimal digits in lower case."),
]


ExchangeText = Annotated[
    str,
    worded(
        EXCHANGE,
        "an exchange key is written x25519: and 64 hexadecimal digits in lower case.",
    ),
]
KemText = Annotated[
    str,
    worded(
        KEM,
        "a kem key is written mlkem768: and 1580 characters of base64, in one line.",
    ),
]


class RemitForm(Strict):
    """What an agency is there for, in public."""

    description: Word
    covers: dict[Name, Annotated[list[str], pydantic.Field(min_length=1)]] = {}
    """Values, of any level, that it has cases of; every value where it says nothing."""
    persons_a_year: Annotated[int, pydantic.Field(ge=1, le=10_000_000)] | None = None
    """A round public figure, to tell whether one agency dominates; never a count."""
    definitions: dict[Name, Line] = {}
    """How it records a dimension or quantity, where others do it otherwise."""


class LifetimeForm(Strict):
    """What an agency's records may ever lose, over all agreements."""

    zcdp: LifetimeZcdpForm
    pure: Cap


class LifetimeZcdpForm(Strict):
    """Lifetime cap of the zCDP account, as (epsilon, delta)."""

    epsilon: PositiveDecimal
    delta: Delta


class MemberForm(Strict):
    """One agency."""

    name: Word
    remit: RemitForm
    lifetime: LifetimeForm
    key: KeyText | None = None
    """Of its agent, which signs with it; without one the agency cannot join."""
    exchange: ExchangeText | None = None
    """With which the other agencies agree on what masks its figures."""
    kem: KemText | None = None
    """For the same, against those who record now and compute later."""
    signatory: KeyText | None = None
    """With which it signs the agreements that their own parties sign."""


class HubForm(Strict):
    """The keys of the hub."""

    key: KeyText
    """Signs requisitions."""
    freshness: KeyText
    """Signs only that these policies are still the newest."""


class MembersForm(Strict):
    """The agencies of the network, as ``members.yaml``."""

    network: Label
    hub: HubForm | None = None
    members: Annotated[dict[Label, MemberForm], pydantic.Field(min_length=1)]


def load_members(text: str, source: str) -> MembersForm:
    """Read ``members.yaml``.

    Raises:
        DocumentError: with every problem found.
    """
    form = parse_document(text, MembersForm, source=source)
    problems = [
        problem_at(text, path, wrong) for path, wrong in member_contradictions(form)
    ]
    if problems:
        raise DocumentError(source, problems)
    return form


def member_contradictions(
    form: MembersForm,
) -> Iterator[tuple[tuple[str, str, str], str]]:
    """Yield what the entries of an agency must not say without each other."""
    for label, member in form.members.items():
        path = ("members", label)
        if member.key is not None and member.exchange is None:
            yield (*path, "key"), sentence("lint.exchange-missing")
        if member.key is None and member.exchange is not None:
            yield (*path, "exchange"), sentence("lint.exchange-alone")
        if member.key is None and member.kem is not None:
            yield (*path, "kem"), sentence("lint.exchange-alone")


def exchange_text(raw: bytes) -> str:
    """Return an X25519 public key as policies write it.

    Raises:
        ValueError: it has not 32 bytes.
    """
    return "x25519:" + _exactly(raw, _EXCHANGE_BYTES).hex()


def exchange_bytes(text: str) -> bytes:
    """Return the 32 bytes of an X25519 public key, from a form that was accepted.

    Raises:
        ValueError: it is no such text.
    """
    raw = bytes.fromhex(_without("x25519:", text))
    return _exactly(raw, _EXCHANGE_BYTES)


def kem_text(raw: bytes) -> str:
    """Return an ML-KEM-768 public key as policies write it.

    Raises:
        ValueError: it has not 1184 bytes.
    """
    return "mlkem768:" + base64.b64encode(_exactly(raw, _KEM_BYTES)).decode()


def kem_bytes(text: str) -> bytes:
    """Return the 1184 bytes of an ML-KEM-768 public key, from an accepted form.

    Raises:
        ValueError: it is no such text.
    """
    raw = base64.b64decode(_without("mlkem768:", text), validate=True)
    return _exactly(raw, _KEM_BYTES)


def kem_digest(text: str) -> str:
    """Return what people compare of an ML-KEM key: its SHA-256, the beginning of it."""
    return hashlib.sha256(kem_bytes(text)).hexdigest()[:_SHOWN_OF_A_DIGEST]


def short_kem(text: str) -> str:
    """Return an ML-KEM key as it is shown."""
    return f"mlkem768, SHA-256 {kem_digest(text)}…"


def with_short_keys(text: str) -> str:
    """Return a document as it is shown: keys that nobody can read are shortened."""
    return re.sub(KEM, lambda found: short_kem(found[0]), text)


def _without(prefix: str, text: str) -> str:
    if not text.startswith(prefix):
        message = f"the key does not begin with {prefix}"
        raise ValueError(message)
    return text.removeprefix(prefix)


def _exactly(raw: bytes, length: int) -> bytes:
    if len(raw) != length:
        message = f"such a key has {length} bytes, not {len(raw)}"
        raise ValueError(message)
    return raw
