# SPDX-License-Identifier: Apache-2.0
"""Analysts, who send a question until they know how it ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from accord.core.errors import AccordError, Unreachable
from accord.hub.serve import Hub
from accord.v1 import analyst_pb2
from tests.simulation.loop import Process
from tests.simulation.patching import Passed
from tests.unit.hub.sleeping import AnalystContext


@dataclasses.dataclass(slots=True)
class Request:
    """One question of an analyst, sent until it is answered."""

    message: analyst_pb2.SubmitQueryRequest
    token: str
    told: analyst_pb2.Submission | None = None
    refused: str = ""
    before: analyst_pb2.Submission | None = None
    """How it had ended before the hub lost its newest records."""

    @property
    def has_ended(self) -> bool:
        return bool(self.refused) or (self.told is not None and _is_over(self.told))

    def hear(self, told: analyst_pb2.Submission) -> None:
        """Take what the hub says; what has ended never changes."""
        if self.told is not None and _is_over(self.told):
            assert told == self.told, "an answer was given in two ways"
        before = self.before
        if before is not None and before.HasField("reply"):
            lost = told.state == analyst_pb2.SUBMISSION_STATE_FAILED
            # What came from an archive that is lost is asked, and paid for, anew.
            free = lost or before.reply.from_archive or not _is_over(told)
            assert free or told == before, "an answer was drawn twice"
        self.told = told

    async def sent(
        self, hub: Hub, process: Process, trouble: Callable[[Exception], None]
    ) -> None:
        """Send it, or look after it where the hub has taken it.

        Args:
            hub: which is asked.
            process: what the hub says is heard only while this is alive.
            trouble: told of what no analyst should see.
        """
        context: Passed = AnalystContext(self.token)
        try:
            answer = await self._answer(hub._analysts, context)
            if process.is_alive:
                self.hear(answer.submission)
        except Unreachable:
            return
        except AccordError as error:
            if process.is_alive and self.told is None:
                self.refused = error.reason
        except Exception as error:  # noqa: BLE001  # nobody awaits this
            trouble(error)
        finally:
            context.end()

    async def _answer(self, analysts: Passed, context: Passed) -> Passed:
        if self.told is None:
            return await analysts.SubmitQuery(self.message, context)
        look = analyst_pb2.GetSubmissionRequest(id=self.message.id)
        return await analysts.GetSubmission(look, context)

    def forget(self) -> None:
        """Ask again: the hub may know nothing of it any more."""
        if self.told is not None and _is_over(self.told):
            self.before = self.before or self.told
        self.told, self.refused = None, ""


def _is_over(told: analyst_pb2.Submission) -> bool:
    return told.state != analyst_pb2.SUBMISSION_STATE_COLLECTING
