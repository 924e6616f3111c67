# SPDX-License-Identifier: Apache-2.0
"""People are told that questions wait for their approval, and reminded of it.

A line of the log always says so. Where the agency names a program, that is run as well:
it gets the id of the question, and not a word of it. It runs beside the agent, which
waits for nothing that it does.
"""

from __future__ import annotations

import datetime
import os
import queue
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
        Ids of the questions, for a `Notifier` once the transaction is over.
    """
    every = datetime.timedelta(hours=rule.remind_after_hours)
    due = approval.due(tx, every, now)
    for query_id in due:
        structlog.get_logger().warning("approval.awaited", query_id=query_id)
    return due


class Notifier:
    """Runs the agency's own program, for one question after the other.

    One thread does it all, however many questions come, and waits for a program that
    hangs. It is not waited for: what it has not come to when the agent ends is told at
    the next reminder.
    """

    def __init__(self, command: Sequence[str]) -> None:
        """Run nothing yet.

        Args:
            command: the program with its arguments; nothing for none.
        """
        self._command = tuple(command)
        self._ids: queue.Queue[str] = queue.Queue(approval.MOST_WAITING)
        self._thread: threading.Thread | None = None

    def notify(self, query_ids: Sequence[str]) -> None:
        """Have it run once for each question, and return at once."""
        if not self._command or not query_ids:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run_all, daemon=True)
            self._thread.start()
        for query_id in query_ids:
            try:
                self._ids.put_nowait(query_id)
            except queue.Full:
                _tell_failure(query_id)

    def _run_all(self) -> None:
        while True:
            _run(self._command, self._ids.get())


def _run(command: Sequence[str], query_id: str) -> None:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
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
        _tell_failure(query_id)


def _tell_failure(query_id: str) -> None:
    structlog.get_logger().warning("notification.failed", query_id=query_id)
