# SPDX-License-Identifier: Apache-2.0
"""Sizes, deadlines and keepalive of every connection: the one place for them.

A peer that is frozen, but whose kernel still acknowledges TCP, is noticed within
``KEEPALIVE_SECONDS + PING_SECONDS``. That takes three options: without
``ping_timeout_ms`` gRPC waits a minute. A server must also allow such pings, or it
hangs up on eager clients with "too many pings".
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

MIB = 1 << 20

MOST_REQUEST_BYTES = 4 * MIB
"""What a hub takes in one message: a vector of 100,002 integers has 0.8 MiB."""

MOST_RESPONSE_BYTES = 64 * MIB
"""What a client takes: a release of 100,000 rows with long names has about 30 MiB."""

MOST_METADATA_BYTES = 64 * 1024
"""Metadata of one call, the details of an error included."""

MOST_CALLS = 2000
"""Calls and streams that one port serves at once."""

KEEPALIVE_SECONDS = 15
PING_SECONDS = 10

SILENCE_SECONDS = 60.0
"""Silence on an agent's stream, heartbeats included, after which a hub can end it."""

HEARTBEAT_SECONDS = 10.0
"""How often an agent shows that its own loop is alive, not only its kernel."""

FIRST_CONTACT_SECONDS = 10.0
"""For reading a hub's certificate chain."""

WELCOME_SECONDS = 30.0
"""From opening a stream to the hub's welcome."""

_KEEPALIVE = (
    ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
    ("grpc.keepalive_timeout_ms", PING_SECONDS * 1000),
    ("grpc.http2.ping_timeout_ms", PING_SECONDS * 1000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_metadata_size", MOST_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", MOST_METADATA_BYTES),
)

CHANNEL_OPTIONS: tuple[tuple[str, int | str], ...] = (
    *_KEEPALIVE,
    ("grpc.max_receive_message_length", MOST_RESPONSE_BYTES),
    ("grpc.max_send_message_length", MOST_REQUEST_BYTES),
    # A hub that was away for long is noticed soon after it is back.
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 5000),
    # Reconnecting is decided by the caller, not by state shared between channels.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
)

SERVER_OPTIONS: tuple[tuple[str, int | str], ...] = (
    *_KEEPALIVE,
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5000),
    ("grpc.max_receive_message_length", MOST_REQUEST_BYTES),
    ("grpc.max_send_message_length", MOST_RESPONSE_BYTES),
    # Two servers on one port would each get some of the connections.
    ("grpc.so_reuseport", 0),
)

LONG_POLL_SECONDS = 30
"""Longest `wait_seconds` of GetSubmission."""

DEADLINES: Mapping[str, float] = MappingProxyType(
    {
        "/accord.v1.EnrolmentService/Enrol": 20.0,
        "/accord.v1.AgentService/Renew": 20.0,
        "/accord.v1.AgentService/FetchPolicy": 20.0,
        "/accord.v1.AnalystService/ListAgreements": 20.0,
        "/accord.v1.AnalystService/DescribeAgreement": 20.0,
        "/accord.v1.AnalystService/PriceQuery": 20.0,
        "/accord.v1.AnalystService/SubmitQuery": 30.0,
        "/accord.v1.AnalystService/GetSubmission": LONG_POLL_SECONDS + 15.0,
        "/accord.v1.AnalystService/ListReleases": 20.0,
        "/accord.v1.AnalystService/GetRelease": 30.0,
        "/accord.v1.AnalystService/ProveRelease": 30.0,
        "/accord.v1.AnalystService/GetBudget": 20.0,
        "/accord.v1.AnalystService/DeriveRelease": 30.0,
        "/accord.v1.AnalystService/GetCoverage": 20.0,
        "/accord.v1.AnalystService/CancelSubmission": 30.0,
        "/accord.v1.PolicyService/FetchPolicyFile": 20.0,
        "/accord.v1.PolicyService/ListProposals": 20.0,
        "/accord.v1.PolicyService/FetchProposal": 20.0,
        "/accord.v1.PolicyService/OfferProposal": 60.0,
        "/accord.v1.PolicyService/PublishProposal": 60.0,
        "/accord.v1.PolicyService/ListQueries": 30.0,
        "/accord.v1.ReviewService/ListHeld": 20.0,
        "/accord.v1.ReviewService/GetHeld": 30.0,
        "/accord.v1.ReviewService/DecideHeld": 30.0,
        "/grpc.health.v1.Health/Check": 5.0,
    }
)
"""Seconds for every unary call; clients set them and servers enforce them."""


def deadline(method: str) -> float:
    """Return the seconds for a unary *method*, such as ``AnalystService/GetBudget``."""
    return DEADLINES[f"/accord.v1.{method}"]
