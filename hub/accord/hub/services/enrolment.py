# SPDX-License-Identifier: Apache-2.0
"""First contact of an agency: a token and a listed key for a certificate."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from accord.core.canonical import bytes_digest
from accord.hub.db.engine import Store
from accord.hub.governance.standing import Standing
from accord.hub.identity import registry
from accord.hub.identity.authority import Authority
from accord.hub.identity.listing import require_listed
from accord.rpc.enrolment_proof import verify_enrolment
from accord.rpc.pki import certificate_pem, expiry_of, requested_key, serial_of
from accord.rpc.tokens import TokenKind, parse
from accord.trust.keys import public_text
from accord.v1 import enrolment_pb2, enrolment_pb2_grpc


class EnrolmentService(enrolment_pb2_grpc.EnrolmentServiceServicer):
    """Serves agencies that have a token and no certificate yet."""

    def __init__(
        self,
        *,
        store: Store,
        authority: Authority,
        standing: Standing,
        lifetime: dt.timedelta,
        clock: Callable[[], dt.datetime],
        agent_port: Callable[[], int],
    ) -> None:
        """Keep what certificates are made of."""
        self._store = store
        self._authority = authority
        self._standing = standing
        self._lifetime = lifetime
        self._clock = clock
        self._agent_port = agent_port

    async def Enrol(
        self,
        request: enrolment_pb2.EnrolRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> enrolment_pb2.EnrolResponse:
        """Trade a token for a certificate; both happen, or neither."""
        token = parse(request.token, TokenKind.ENROLMENT)
        key = public_text(request.agency_key)
        policies, root = self._standing.newest(), self._standing.root()
        verify_enrolment(request.agency_key, request.certificate_request, request.proof)
        public = requested_key(request.certificate_request).public_bytes(
            serialization.Encoding.DER,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        )

        def trade() -> tuple[str, x509.Certificate]:
            now = self._clock()
            with self._store.write() as tx:
                agency = registry.use_token(
                    tx, token.secret_digest(), bytes_digest(public), now=now
                )
                require_listed(policies.members, agency, key)
                certificate = self._authority.issue(
                    request.certificate_request,
                    agency=agency,
                    network=policies.members.network,
                    lifetime=self._lifetime,
                    now=now,
                )
                registry.record_certificate(
                    tx,
                    agency,
                    serial_of(certificate),
                    agency_key=key,
                    now=now,
                    expires_at=expiry_of(certificate),
                    renewed=False,
                )
            return agency, certificate

        agency, certificate = await self._store.run(trade)
        return enrolment_pb2.EnrolResponse(
            agency=agency,
            certificate=certificate_pem(certificate).decode(),
            certificate_authority=self._authority.pem.decode(),
            agent_port=self._agent_port(),
            policy_root=root,
        )
