# SPDX-License-Identifier: Apache-2.0
"""The HTTPS proxy of a network that lets nothing out by itself, as gRPC finds it.

gRPC reads ``grpc_proxy``, ``https_proxy`` and ``http_proxy`` in this order, in small
letters, and leaves out what ``no_grpc_proxy`` or ``no_proxy`` lists. A first contact,
which has no gRPC yet, has to take the same way, and what looks for faults has to say
which way it is. A name and a password stand in the address, before an ``@``.
"""

from __future__ import annotations

import base64
import dataclasses
import ipaddress
import os
import re
import socket
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

from accord.core.errors import ConfigurationError, Unreachable
from accord.rpc.address import Address

VARIABLES: Final = ("grpc_proxy", "https_proxy", "http_proxy")
EXCEPTIONS: Final = ("no_grpc_proxy", "no_proxy")

_MOST_ANSWER = 16 << 10
_PROXY_PORT = 80
_OK = 200
_NOT_AUTHENTICATED = 407
_STATUS: Final = re.compile(rb"[0-9]{3}")


@dataclasses.dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that is asked to connect us."""

    variable: str
    """Where it is set."""
    address: Address
    credentials: str | None = dataclasses.field(repr=False)
    """``name:password``, if there is one."""


def proxy_for(
    target: Address, environment: Mapping[str, str] | None = None
) -> Proxy | None:
    """Return the proxy on the way to *target*, if there is one.

    Raises:
        ConfigurationError: PROXY_INVALID, the variable holds no address of a proxy.
    """
    environment = os.environ if environment is None else environment
    variable = next((name for name in VARIABLES if environment.get(name)), None)
    if variable is None or target.is_loopback or _excepted(target.host, environment):
        return None
    try:
        parts = urlsplit(environment[variable])
        host, port = parts.hostname, parts.port or _PROXY_PORT
    except ValueError:
        host, port, parts = None, 0, urlsplit("")
    if parts.scheme != "http" or not host:
        raise ConfigurationError(
            "PROXY_INVALID",
            f"The variable {variable} holds no address of a proxy: write "
            "http://HOST:PORT, or http://NAME:PASSWORD@HOST:PORT.",
        )
    name, at, _ = parts.netloc.rpartition("@")
    return Proxy(variable, Address(host, port), unquote(name) if at else None)


def dial(target: Address, end: float) -> socket.socket:
    """Return a connection to *target*, through the proxy if there is one.

    Args:
        target: host and port.
        end: of the time for it, on the monotonic clock.

    Raises:
        OSError: nobody answers there.
        Unreachable: PROXY_REFUSED, PROXY_LOGIN.
        ConfigurationError: PROXY_INVALID.
    """
    proxy = proxy_for(target)
    near = target if proxy is None else proxy.address
    found = socket.create_connection((near.host, near.port), _left(end))
    if proxy is None:
        return found
    try:
        _connect(found, target, proxy, end)
    except BaseException:
        found.close()
        raise
    return found


def _connect(found: socket.socket, target: Address, proxy: Proxy, end: float) -> None:
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.credentials is not None:
        token = base64.b64encode(proxy.credentials.encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {token}")
    found.settimeout(_left(end))
    found.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = b""
    # A byte at a time at the end: what follows the blank line is the target's.
    while not answer.endswith(b"\r\n\r\n"):
        found.settimeout(_left(end))
        more = found.recv(1)
        if not more or len(answer) > _MOST_ANSWER:
            raise ConnectionResetError
        answer += more
    words = answer.split(b"\r\n", 1)[0].split()
    status = int(words[1]) if len(words) > 1 and _STATUS.fullmatch(words[1]) else 0
    if status == _NOT_AUTHENTICATED:
        raise Unreachable(
            "PROXY_LOGIN",
            f"The proxy {proxy.address} wants another name and password than those in "
            f"{proxy.variable}: write http://NAME:PASSWORD@{proxy.address}, with "
            "signs like @ and : in them as %40 and %3A.",
        )
    if status != _OK:
        raise Unreachable(
            "PROXY_REFUSED",
            f"The proxy {proxy.address} does not connect to {target} (status "
            f"{status}). Ask whoever runs it to allow CONNECT to this host and port.",
        )


def _excepted(host: str, environment: Mapping[str, str]) -> bool:
    variable = next((name for name in EXCEPTIONS if environment.get(name)), None)
    if variable is None:
        return False
    listed = [part.strip().casefold() for part in environment[variable].split(",")]
    host = host.casefold()
    return any(part and (host.endswith(part) or _within(host, part)) for part in listed)


def _within(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _left(end: float) -> float:
    return max(end - time.monotonic(), 0.001)
