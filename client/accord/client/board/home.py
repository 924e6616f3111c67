# SPDX-License-Identifier: Apache-2.0
"""What one run of the page has in its hands: a session, and the way to the hub.

Nothing of a visitor's input is kept here; passphrases live as long as one request.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from accord.client import profile as profiles
from accord.client.policy.desk import Desk, keys_folder
from accord.client.policy.hub_access import HubPolicies
from accord.core.errors import PreconditionFailed
from accord.rpc.address import parse_address
from accord.rpc.loopback.guard import Session
from accord.rpc.loopback.visit import Frame, templates_of
from accord.rpc.tokens import TokenKind, parse

DONE = frozenset({"hub", "board", "signed", "kept", "offered", "published"})
"""What a page can say about the form before it."""


@functools.cache
def _frame() -> Frame:
    return Frame(
        subject="board",
        sentences="board.page",
        templates=templates_of("accord.client.board"),
        done=DONE,
    )


class Home:
    """One run."""

    def __init__(
        self, profile: str = profiles.DEFAULT, close: Callable[[], None] | None = None
    ) -> None:
        """Start a session; nothing is read or asked yet.

        Args:
            profile: whose address and token are used, and saved on the page.
            close: ends the program.
        """
        self.session = Session(cookie_name="accord_board")
        self.frame = _frame()
        self.close = close or (lambda: None)
        self._profile = profile
        self._turn = threading.Lock()

    def profile(self) -> profiles.Profile | None:
        """Return the hub that was set up."""
        return profiles.load_profiles(profiles.profiles_path()).get(self._profile)

    def save_hub(self, hub: str, token: str) -> None:
        """Try a hub's address and token, and keep them if the hub knows them.

        Raises:
            AccordError: the hub cannot be reached, or does not know the token.
        """
        parse_address(hub)
        parse(token, TokenKind.ANALYST)
        found = profiles.Profile(hub=hub, token=token)
        with HubPolicies(found) as access:
            access.proposals()
        path = profiles.profiles_path()
        known = profiles.load_profiles(path)
        known[self._profile] = found
        profiles.save_profiles(path, known)

    @contextmanager
    def desk(self) -> Iterator[Desk]:
        """Open the connection to the hub; one visitor at a time.

        Raises:
            PreconditionFailed: HUB_NOT_SET_UP.
            AccordError: the hub cannot be reached, or is another one.
        """
        found = self.profile()
        if found is None:
            raise PreconditionFailed(
                "HUB_NOT_SET_UP", "Say first where your hub is, on the page Set up."
            )
        with self._turn, HubPolicies(found) as access:
            yield Desk(access)

    def key_files(self) -> list[Path]:
        """Return the key files in this user's folder."""
        return sorted(keys_folder().glob("*.key"))
