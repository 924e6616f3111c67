# SPDX-License-Identifier: Apache-2.0
"""People are told that questions wait for their approval, and reminded of it.

A line of the log always says so. Where the agency names a program, that is run as well:
it gets the id of the question, and not a word of it. It runs beside the agent, which
waits for nothing that it does.
"""

from __future__ import annotations

import datetime
import os
import subprocess
import threading
from collections.abc import Sequence
from typing import Final

import structlog

from accord.agent.rounds import approval
from accord.agent.settings import Approval
from accord.ledger.transaction import Transaction

PATIENCE: Final = 60.0
"""Seconds after which a program that does not end is ended."""

_PASSED_ON: Final = ("PATH", "LANG", "HOME", "SYSTEMROOT")
"""Of the agent's environment; settings and secrets stay with the agent."""


def remind(tx: Transaction, rule: Approval, now: datetime.datetime) -> list[str]:
    """Say of which questions people are to be told now, and count them as told.

    Returns:
        Ids of the questions, for `notify` once the transaction is over.
    """
    every = datetime.timedelta(hours=rule.remind_after_hours)
    due = approval.due(tx, every, now)
    for query_id in due:
        structlog.get_logger().warning("approval.awaited", query_id=query_id)
    return due


def notify(command: Sequence[str], query_ids: Sequence[str]) -> threading.Thread | None:
    """Run the agency's own program, once for each question; returns at once."""
    if not command or not query_ids:
        return None
    thread = threading.Thread(target=_run_all, args=(command, query_ids), daemon=True)
    thread.start()
    return thread


def _run_all(command: Sequence[str], query_ids: Sequence[str]) -> None:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    for query_id in query_ids:
        try:
            done = subprocess.run(  # noqa: S603 - the agency's own program
                [*command, query_id],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
                timeout=PATIENCE,
                check=False,
            )
            failed = done.returncode != 0
        except (OSError, subprocess.TimeoutExpired):
            failed = True
        if failed:
            structlog.get_logger().warning("notification.failed", query_id=query_id)
