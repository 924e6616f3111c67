# SPDX-License-Identifier: Apache-2.0
"""A question on its way to the hub, which has not said yet whether it takes it.

Its id is chosen here, before anything is sent. So whoever interrupts the call can still
end the question: by that id, once the hub has said something.
"""

from __future__ import annotations

from accord.client.asked import Asked, AskedQuestions
from accord.client.pending import Pending
from accord.client.wire import Wire
from accord.v1 import analyst_pb2 as pb


class Sent:
    """A call that asks; the hub goes on with it whoever waits."""

    def __init__(
        self,
        wire: Wire,
        request: pb.SubmitQueryRequest,
        *,
        asked: Asked,
    ) -> None:
        """Send it.

        Args:
            wire: to the hub.
            request: with the id that was chosen for it.
            asked: what is kept of it on this machine.
        """
        self._wire = wire
        self._asked = asked
        self._complete = request.complete_only
        self._kept = AskedQuestions(wire.hub_identity)
        self._answer = wire.begin(wire.stub.SubmitQuery, request)

    @property
    def id(self) -> str:
        """Of the submission, if the hub takes the question."""
        return self._asked.id

    def pending(self) -> Pending:
        """Wait until the hub has taken the question, and return it.

        Raises:
            AccordError: the hub does not take it; or Unreachable and DeadlineExceeded,
                where nobody knows whether it has.
        """
        taken = self._pending(self._answer().submission)
        if not taken.done:
            self.keep()
        return taken

    def unsure(self) -> Pending:
        """Return the question as if the hub had it, to end it by its id."""
        return self._pending(pb.Submission(id=self.id))

    def keep(self) -> None:
        """Remember it, so that `Hub.pending` finds it."""
        self._kept.keep(self._asked)

    def forget(self) -> None:
        """Forget it: the hub has not taken it."""
        self._kept.forget(self.id)

    def _pending(self, submission: pb.Submission) -> Pending:
        return Pending(
            self._wire, submission, asked=self._asked, complete=self._complete
        )


class Interrupted(KeyboardInterrupt):
    """Somebody interrupted a question before the hub had said whether it takes it."""

    def __init__(self, sent: Sent) -> None:
        """Say how to end it, and keep what else can be done."""
        super().__init__(
            "The hub may have taken the question all the same. To end it:"
            f" hub.submission({sent.id!r}).cancel()"
        )
        self.sent = sent
