# SPDX-License-Identifier: Apache-2.0
"""One request of the board's page."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from starlette.responses import Response

from accord.client.board.home import Home
from accord.rpc.loopback import visit
from accord.rpc.loopback.visit import Upload, endpoint

__all__ = ["Upload", "View", "Visit", "endpoint"]

Visit: TypeAlias = visit.Visit[Home]

View: TypeAlias = Callable[[Visit], Response]
