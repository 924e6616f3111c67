# SPDX-License-Identifier: Apache-2.0
"""Who this agent is to its hub: key, certificate, and which hub it joined.

In the folder ``keys/``: ``identity.key`` (never leaves it), ``identity.pem`` (short
lived), ``ca.pem`` (the hub's authority), ``hub.json`` (the label of the agency and
where the hub takes agents). Each file is replaced in one step; ``identity.pem`` comes
last and makes the rest count. With which key the hub signs its requisitions is no part
of this: the board's signed list of members says so.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
from pathlib import Path

from cryptography import x509

from accord.agent.keys.files import read_secret, replace_secret, write_secret
from accord.core.errors import ConfigurationError, Conflict, Unauthenticated
from accord.rpc.address import Address, parse_address
from accord.rpc.pki import (
    PrivateKey,
    agency_of,
    certificate_pem,
    check_issued,
    expiry_of,
    key_pem,
    load_certificate,
    load_key,
    new_key,
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """The agency's place in one hub's network."""

    agency: str
    hub: Address
    """The agents' port of the hub."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Everything that the agent shows and trusts on the network."""

    membership: Membership
    key: PrivateKey = dataclasses.field(repr=False)
    certificate: x509.Certificate
    authority: x509.Certificate

    def check(self, now: datetime.datetime) -> None:
        """Raise unless the hub would take the certificate at *now*.

        TLS tells a client nothing of why it was refused, so it is checked here first.

        Raises:
            Unauthenticated: CERTIFICATE_EXPIRED or CERTIFICATE_NOT_YET_VALID.
            IntegrityError: CERTIFICATE_FOREIGN.
            ConfigurationError: CERTIFICATE_KEY_MISMATCH.
        """
        check_issued(self.certificate, self.authority)
        if self.certificate.public_key() != self.key.public_key():
            raise ConfigurationError(
                "CERTIFICATE_KEY_MISMATCH",
                "The agent's key and certificate do not belong together. Ask the hub's "
                "operator for a token and run `accord-agent enrol` again.",
            )
        expiry = expiry_of(self.certificate)
        if now >= expiry:
            raise Unauthenticated(
                "CERTIFICATE_EXPIRED",
                f"This agent's certificate ended at {expiry:%Y-%m-%d %H:%M} UTC. Ask "
                "the hub's operator for a token and run `accord-agent enrol` again; "
                "nothing of the store is lost.",
            )
        if now < self.certificate.not_valid_before_utc:
            raise Unauthenticated(
                "CERTIFICATE_NOT_YET_VALID",
                "This agent's certificate begins in the future: set this machine's "
                "clock.",
            )


@dataclasses.dataclass(frozen=True, slots=True)
class IdentityFiles:
    """The files of one agent's identity."""

    folder: Path

    @property
    def _key(self) -> Path:
        return self.folder / "identity.key"

    @property
    def _certificate(self) -> Path:
        return self.folder / "identity.pem"

    @property
    def _authority(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def _hub(self) -> Path:
        return self.folder / "hub.json"

    def enrolled(self) -> bool:
        """Tell whether an enrolment has succeeded here."""
        return self._certificate.exists()

    def make_key(self) -> PrivateKey:
        """Return the agent's own key; made at the first call, the same ever after.

        Raises:
            ConfigurationError: it cannot be read or written.
        """
        if not self._key.exists():
            with contextlib.suppress(Conflict):  # another enrolment's key is as good
                write_secret(self._key, key_pem(new_key()))
        return load_key(read_secret(self._key), str(self._key))

    def load(self) -> Identity:
        """Return the identity, as far as it can be read; `Identity.check` judges it.

        Raises:
            ConfigurationError: NOT_ENROLLED, or a file is missing or broken.
        """
        if not self.enrolled():
            raise ConfigurationError(
                "NOT_ENROLLED",
                "This agent has joined no hub yet. Ask the hub's operator for a token "
                "and run `accord-agent enrol`.",
            )
        return Identity(
            membership=self._membership(),
            key=load_key(read_secret(self._key), str(self._key)),
            certificate=self._load(self._certificate),
            authority=self._load(self._authority),
        )

    def check_agency(self, agency: str) -> None:
        """Raise if the state belongs to another agency.

        Raises:
            Conflict: ENROLLED_AS_ANOTHER.
        """
        if self.enrolled():
            label = agency_of(self._load(self._certificate))
            if label != agency:
                raise Conflict(
                    "ENROLLED_AS_ANOTHER",
                    f"This agent is the one of {label!r}, and the token is for "
                    f"{agency!r}. Name another directory with --state.",
                )

    def save(
        self,
        membership: Membership,
        *,
        certificate: x509.Certificate,
        authority: x509.Certificate,
    ) -> None:
        """Keep the result of an enrolment.

        Raises:
            Conflict: ENROLLED_AS_ANOTHER, the state belongs to another agency.
            ConfigurationError: a file cannot be written.
        """
        self.check_agency(membership.agency)
        text = json.dumps({"agency": membership.agency, "hub": str(membership.hub)})
        replace_secret(self._authority, certificate_pem(authority))
        replace_secret(self._hub, text.encode())
        self.renew(certificate)

    def renew(self, certificate: x509.Certificate) -> None:
        """Put *certificate* in the place of the one there was.

        Raises:
            ConfigurationError: it cannot be written.
        """
        replace_secret(self._certificate, certificate_pem(certificate))

    def _load(self, path: Path) -> x509.Certificate:
        return load_certificate(read_secret(path), str(path))

    def _membership(self) -> Membership:
        try:
            content = json.loads(read_secret(self._hub))
            return Membership(
                agency=str(content["agency"]), hub=parse_address(str(content["hub"]))
            )
        except (ValueError, KeyError, TypeError):
            raise self._broken(self._hub) from None

    def _broken(self, path: Path) -> ConfigurationError:
        return ConfigurationError(
            "IDENTITY_BROKEN",
            f"{path} is not as enrolment wrote it. Ask the hub's operator for a token "
            "and run `accord-agent enrol` again.",
        )
