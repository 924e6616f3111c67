# SPDX-License-Identifier: Apache-2.0
"""Where a hub listens: ``host:port``, with brackets around an IPv6 address."""

from __future__ import annotations

import dataclasses
import ipaddress
import re

from accord.core.errors import ConfigurationError

PUBLIC_PORT = 8443
"""Enrolment and analysts, by default."""

AGENT_PORT = 8444
"""Agents, by default."""

_NAME = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?"
    r"(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?)*\.?"
)
_MOST_PORT = 65535


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """A host name or IP address with a port."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def target(self) -> str:
        """The form that gRPC dials."""
        return f"dns:///{self}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine, as far as the text says."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.rstrip(".").lower() == "localhost"


def parse_address(text: str, default_port: int = PUBLIC_PORT) -> Address:
    """Read ``host``, ``host:port``, ``[ipv6]`` or ``[ipv6]:port``.

    Raises:
        ConfigurationError: ADDRESS_INVALID.
    """
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(\d{1,5}))?", text.strip())
    plain = re.fullmatch(r"([^:\[\]]+)(?::(\d{1,5}))?", text.strip())
    match = bracketed or plain
    if match is not None:
        host, port = match[1], int(match[2] or default_port)
        good = _is_ipv6(host) if bracketed else _NAME.fullmatch(host) is not None
        if good and 0 < port <= _MOST_PORT:
            return Address(host, port)
    raise ConfigurationError(
        "ADDRESS_INVALID",
        f"{text[:80]!r} is no address of a hub; write `host:port`, for example "
        f"`hub.example.org:{default_port}` or `[2001:db8::1]:{default_port}`.",
    )


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True
