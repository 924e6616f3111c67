# SPDX-License-Identifier: Apache-2.0
"""Traces for OpenTelemetry, with a fixed set of attributes and times in whole slots.

What the environment says of OpenTelemetry is not asked: the endpoint is a setting, and
the resource names the program and nothing of the machine.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Final

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Status, StatusCode

from accord.agent.network.spans import NANO, Spans, now, slots_within
from accord.core._version import __version__

ATTRIBUTES: Final = frozenset(
    {"accord.query_id", "accord.attempt", "accord.outcome", "accord.reason"}
)
"""All that a span may have."""

_ASKED: Final = "OTEL_"
"""How the variables of OpenTelemetry begin."""


class OpenTelemetrySpans:
    """Gives spans to a processor, which exports them on a thread of its own."""

    def __init__(self, processor: SpanProcessor, *, slot: float) -> None:
        """Begin with no span.

        Args:
            processor: takes every span that has ended.
            slot: seconds of an answer's slot.
        """
        self._slot = slot
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource(
                {"service.name": "accord-agent", "service.version": __version__}
            ),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("accord.agent", __version__)

    def contact(self, begin: int, end: int, reason: str) -> None:
        """Take a stream to the hub."""
        self._put("contact", begin, end, {"accord.reason": reason})

    def step(
        self, name: str, begin: int, *, query_id: str, attempt: int, reason: str
    ) -> None:
        """Take a step of a question, as long as its slots."""
        length = slots_within(self._slot, (now() - begin) / NANO)
        attributes: dict[str, str | int] = {
            "accord.query_id": query_id,
            "accord.attempt": attempt,
            "accord.outcome": "refused" if reason else "done",
        }
        if reason:
            attributes["accord.reason"] = reason
        self._put(name, begin, begin + round(length * NANO), attributes)

    def close(self) -> None:
        """Export what waits, and end."""
        self._provider.shutdown()

    def _put(
        self, name: str, begin: int, end: int, attributes: dict[str, str | int]
    ) -> None:
        span = self._tracer.start_span(name, start_time=begin, attributes=attributes)
        span.set_status(Status(StatusCode.OK))
        span.end(end_time=end)


@contextlib.contextmanager
def exporting(endpoint: str, slot: float) -> Iterator[Spans]:
    """Export spans until the block ends.

    Args:
        endpoint: of OTLP over gRPC; https, or http on loopback.
        slot: seconds of an answer's slot.
    """
    # The libraries ask for more than can be passed: headers and certificates of the
    # exporter, and whether it is disabled at all.
    for name in [each for each in os.environ if each.startswith(_ASKED)]:
        del os.environ[name]
    exporter = OTLPSpanExporter(
        endpoint=endpoint, insecure=endpoint.startswith("http://")
    )
    spans = OpenTelemetrySpans(BatchSpanProcessor(exporter), slot=slot)
    try:
        yield spans
    finally:
        spans.close()
