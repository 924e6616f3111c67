# SPDX-License-Identifier: Apache-2.0
"""Traces: a closed set of attributes, whole slots, and nothing of the environment."""

from __future__ import annotations

from concurrent import futures
from pathlib import Path

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.agent.network.replies import Replies
from accord.agent.network.spans import NANO, NO_SPANS, now, slots_within
from accord.agent.running import _spans
from accord.agent.settings import Settings, load_settings
from accord.core.errors import ConfigurationError
from accord.rpc.rounds import member_readies_to_messages, receipts_to_messages
from accord.v1 import agent_pb2
from tests.unit.agent.agency_world import THREE, Templates, World, joined, stored
from tests.unit.agent.agreements import AGENCY, AGREEMENT_TEXT, signed

pytest.importorskip("opentelemetry.sdk", reason="the extra `tracing` is not installed")

from opentelemetry.proto.collector.trace.v1 import (
    trace_service_pb2,
    trace_service_pb2_grpc,
)
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
    InMemorySpanExporter,
)

from accord.agent.tracing import ATTRIBUTES, OpenTelemetrySpans, exporting

SLOT = 64.0
"""Seconds: longer than any step takes here, so that each lasts one slot."""


@given(st.floats(0, 1e6), st.floats(0.001, 60))
def test_a_span_lasts_whole_slots(elapsed: float, slot: float) -> None:
    length = slots_within(slot, elapsed)
    assert length >= slot
    assert length == slot or length <= elapsed < 2 * length


def test_without_slots_it_lasts_no_time() -> None:
    assert slots_within(0, 12.5) == 0


def traced(world: World) -> list[ReadableSpan]:
    """Lead an agency through a day and return what was traced of it."""
    exporter = InMemorySpanExporter()
    spans = OpenTelemetrySpans(SimpleSpanProcessor(exporter), slot=SLOT)
    answerer = world.answerers[AGENCY]
    replies = Replies(answerer, world.offer.fetch, spans)
    asked = world.asked()
    payload, signature = signed(asked)
    one = agent_pb2.Requisition(payload=payload, signature=signature, attempt=1)
    replies.ready(asked.query_id, one)
    found = world.ready(asked)
    call = agent_pb2.CohortCall(
        query_id=found.query_id,
        attempt=1,
        cohort="fallback",
        readies=member_readies_to_messages(found.readies),
    )
    world.hub.mask(found)
    replies.masked(call)
    receipts = receipts_to_messages(found.receipts)
    reveal = agent_pb2.RevealCall(query_id=found.query_id, attempt=1, receipts=receipts)
    replies.reveal(reveal)
    wrong = world.asked(agreement_version=9)
    payload, signature = signed(wrong)
    other = agent_pb2.Requisition(payload=payload, signature=signature, attempt=1)
    replies.ready(wrong.query_id, other)
    assert not exporter.get_finished_spans()  # not before the slot is over
    replies.log()
    begin = now()
    spans.contact(begin, begin + 5 * NANO, "STREAM_ENDED")
    spans.close()
    return list(exporter.get_finished_spans())


def shown(spans: list[ReadableSpan]) -> list[object]:
    """Return all of a trace but ids of questions and clocks."""
    return [
        (
            each.name,
            (each.end_time or 0) - (each.start_time or 0),
            sorted(
                (key, value)
                for key, value in (each.attributes or {}).items()
                if key != "accord.query_id"
            ),
            dict(each.resource.attributes),
            len(each.events),
            len(each.links),
        )
        for each in spans
    ]


@pytest.fixture
def _misleading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "host.name=shelter,town=Brimwald")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "Brimwald")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")


@pytest.mark.usefixtures("_misleading")
def test_what_is_traced_does_not_depend_on_records(
    templates: Templates, tmp_path: Path
) -> None:
    days = []
    for name, persons in (("few", (1, 0, 0)), ("many", (180, 3, 40, 25))):
        folder = tmp_path / name
        folder.mkdir()
        others = [label for label in THREE if label != AGENCY]
        found = templates.world(folder, others)
        own = joined(stored(folder / AGENCY, AGENCY, persons), AGENCY)
        days.append(traced(World({**found.states, AGENCY: own}, AGREEMENT_TEXT)))
    few, many = days
    assert shown(few) == shown(many)
    assert [each.name for each in few] == [
        *("requisition.accepted", "vector.masked", "seed.revealed"),
        *("requisition.accepted", "contact"),
    ]
    for each in few[:-1]:
        assert set(each.attributes or {}) <= ATTRIBUTES
        assert (each.end_time or 0) - (each.start_time or 0) == SLOT * NANO
        assert set(each.resource.attributes) == {"service.name", "service.version"}
    assert "Brimwald" not in str([each.to_json() for each in few])
    outcomes = [(each.attributes or {}).get("accord.outcome") for each in few]
    assert outcomes == ["done", "done", "done", "refused", None]


class TestSettings:
    def test_nothing_is_traced_unless_it_is_said(self) -> None:
        with _spans(Settings()) as found:
            assert found is NO_SPANS

    @pytest.mark.parametrize(
        "endpoint",
        ["http://127.0.0.1:4317", "http://[::1]:4317", "https://otel.example.org:4317"],
    )
    def test_loopback_and_https_are_good(self, tmp_path: Path, endpoint: str) -> None:
        config = tmp_path / "config.toml"
        config.write_text(f'[tracing]\nendpoint = "{endpoint}"\n')
        assert load_settings(config).tracing.endpoint == endpoint

    @pytest.mark.parametrize(
        ("endpoint", "sentence"),
        [
            ("http://otel.example.org:4317", "https:// only"),
            ("http://192.0.2.7:4317", "https:// only"),
            ("https://ana:secret@otel.example.org", "a password"),
            ("https://otel.example.org?key=secret", "options"),
            ("otel.example.org:4317", "no URL"),
            ("http://127.0.0.1:port", "no URL"),
            ("", "no URL"),
        ],
    )
    def test_everything_else_is_refused(
        self, tmp_path: Path, endpoint: str, sentence: str
    ) -> None:
        config = tmp_path / "config.toml"
        config.write_text(f'[tracing]\nendpoint = "{endpoint}"\n')
        with pytest.raises(ConfigurationError, match=sentence) as caught:
            load_settings(config)
        assert "tracing.endpoint" in caught.value.sentence
        assert "secret" not in caught.value.sentence


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps with which metadata spans came."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str | bytes]] = []

    def Export(
        self,
        request: trace_service_pb2.ExportTraceServiceRequest,
        context: grpc.ServicerContext,
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        assert request.resource_spans
        self.seen.append(dict(context.invocation_metadata()))
        return trace_service_pb2.ExportTraceServiceResponse()


def test_the_environment_neither_disables_nor_adds_anything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "OTEL_SDK_DISABLED": "true",
        "OTEL_EXPORTER_OTLP_HEADERS": "office=shelter",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "office=shelter",
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "gzip",
        "OTEL_BSP_MAX_QUEUE_SIZE": "1",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "0",
    }.items():
        monkeypatch.setenv(name, value)
    server = grpc.server(futures.ThreadPoolExecutor(1))
    collector = Collector()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(  # type: ignore[no-untyped-call]
        collector, server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with exporting(f"http://127.0.0.1:{port}", SLOT) as spans:
            spans.contact(now(), now(), "STREAM_ENDED")
    finally:
        server.stop(None)
    (metadata,) = collector.seen
    assert "office" not in metadata
    assert "gzip" not in str(metadata.get("grpc-encoding", ""))
