# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from accord.rpc.logs import configure


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Set logging up with a stream to look at, and put it back."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    stream = io.StringIO()
    configure("agent", stream)
    yield stream
    structlog.reset_defaults()
    root.handlers, root.level = before


def test_a_line_is_json_with_component_version_and_time(lines: io.StringIO) -> None:
    structlog.get_logger().info("requisition.answered", query_id="x", duration_ms=3)
    line = json.loads(lines.getvalue())
    assert line["event"] == "requisition.answered"
    assert (line["component"], line["level"]) == ("agent", "info")
    assert line["timestamp"].endswith("Z")
    assert line["query_id"] == "x"
    assert "dropped" not in line


def test_a_key_that_is_not_listed_is_dropped_and_named(lines: io.StringIO) -> None:
    structlog.get_logger().info("x.happened", name="Ana Example", reason=["a", "list"])
    assert "Ana" not in lines.getvalue()
    assert json.loads(lines.getvalue())["dropped"] == ["name", "reason"]


def test_a_traceback_is_never_written(lines: io.StringIO) -> None:
    try:
        raise ValueError("Ana Example")
    except ValueError:
        structlog.get_logger().exception("x.failed")
    assert "Ana" not in lines.getvalue()
    assert json.loads(lines.getvalue())["dropped"] == ["exc_info"]


def test_long_values_are_cut(lines: io.StringIO) -> None:
    structlog.get_logger().info("x.happened", reason="y" * 5000)
    assert len(json.loads(lines.getvalue())["reason"]) == 200


def test_what_libraries_say_is_reduced_to_their_name(lines: io.StringIO) -> None:
    try:
        raise ValueError("Ana Example")
    except ValueError:
        logging.getLogger("grpc.something").exception("about %s", "Ana Example")
    assert "Ana" not in lines.getvalue()
    line = json.loads(lines.getvalue())
    assert line["library"] == "grpc.something"
    assert line["error_type"] == "ValueError"


def test_libraries_do_not_chat(lines: io.StringIO) -> None:
    logging.getLogger("asyncio").info("about Ana Example")
    assert lines.getvalue() == ""
