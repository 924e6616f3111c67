# SPDX-License-Identifier: Apache-2.0
"""Settings of what the monitoring of this machine may see of an agent."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import pydantic

from accord.core.document import Strict
from accord.core.errors import AccordError
from accord.rpc.address import parse_address


def _loopback(value: object) -> object:
    """Refuse an address that other machines can reach, and what is none."""
    if not isinstance(value, str):
        return value
    try:
        address = parse_address(value, METRICS_PORT)
    except AccordError:
        message = "this is no HOST:PORT, such as 127.0.0.1:9464"
        raise ValueError(message) from None
    if address.host not in LOOPBACK:
        message = (
            "only this machine may see figures: 127.0.0.1:PORT or [::1]:PORT. What "
            "runs on another machine comes through a tunnel or a proxy here"
        )
        raise ValueError(message)
    return value


METRICS_PORT = 9464
"""Where figures are shown by default, once they are."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Hosts that are this machine and nothing else."""


class Metrics(Strict):
    """Figures for the monitoring of this machine."""

    address: Annotated[str, pydantic.BeforeValidator(_loopback)] | None = None
    """Where Prometheus finds them; unsaid, nothing listens."""


def _endpoint(value: object) -> object:
    """Refuse an endpoint to which traces would travel for all to read."""
    if not isinstance(value, str):
        return value
    try:
        parts = urlsplit(value)
        host, named, _ = parts.hostname, parts.username, parts.port
    except ValueError:
        host, named = None, None
    if host is None or parts.scheme not in {"http", "https"}:
        message = "this is no URL, such as http://127.0.0.1:4317"
        raise ValueError(message)
    if named is not None or parts.query or parts.fragment:
        message = "the URL has a name, a password or options; it is https://HOST:PORT"
        raise ValueError(message)
    if parts.scheme == "http" and host not in LOOPBACK:
        message = "beyond this machine traces go to https:// only"
        raise ValueError(message)
    return value


class Tracing(Strict):
    """Traces for OpenTelemetry."""

    endpoint: Annotated[str, pydantic.BeforeValidator(_endpoint)] | None = None
    """Where a collector takes OTLP over gRPC; unsaid, nothing is traced."""
