# SPDX-License-Identifier: Apache-2.0
"""The hub's own certificate: made when it starts, renewed while it serves."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Sequence
from typing import Final

from accord.hub.identity.authority import Authority
from accord.rpc import pki
from accord.rpc.server import ServerIdentity

SERVER_LIFETIME: Final = dt.timedelta(days=30)


class ServerCertificate:
    """The hub's own certificate, renewed while it serves.

    Called at every TLS handshake, from threads of gRPC.
    """

    def __init__(
        self,
        authority: Authority,
        hosts: Sequence[str],
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Make the key; the first certificate comes with the first call."""
        self._authority = authority
        self._hosts = hosts
        self._clock = clock
        self._key = pki.new_key()
        self._lock = threading.Lock()
        self._current: ServerIdentity | None = None
        self._renew_at = clock()

    def __call__(self) -> ServerIdentity:
        with self._lock:
            now = self._clock()
            if self._current is None or now >= self._renew_at:
                certificate = pki.issue_server(
                    self._authority.key,
                    self._authority.certificate,
                    self._key.public_key(),
                    hosts=self._hosts,
                    lifetime=SERVER_LIFETIME,
                    now=now,
                )
                self._current = ServerIdentity(
                    key=pki.key_pem(self._key),
                    chain=pki.certificate_pem(certificate) + self._authority.pem,
                )
                self._renew_at = now + SERVER_LIFETIME / 2
            return self._current
