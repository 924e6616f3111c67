# SPDX-License-Identifier: Apache-2.0
"""What the file beside sealed keys says: whether each has to be sealed by now.

It is sealed as they are, so that nobody without the key-encrypting key can write one
under which a plain file would pass for a key. Older agents left the id of the
key-encrypting key there, in hexadecimal; that says that every key is sealed.
"""

from __future__ import annotations

import dataclasses
from typing import Final

from accord.agent.keys.envelope import Altered

SEALED: Final = "sealed"
"""Name of the file."""

_OPENING: Final = "opening"
_SEALING: Final = "sealing"


@dataclasses.dataclass(frozen=True, slots=True)
class Marker:
    """How far keys are sealed, or opened."""

    opening: bool = False
    """Whether they are being made plain, for good."""
    plain: frozenset[str] = frozenset()
    """Names of files that were plain when sealing began; none when it has ended."""

    def allows(self, name: str) -> bool:
        """Whether the file of a key may be plain."""
        return self.opening or name in self.plain

    def content(self) -> bytes:
        """Return what is sealed into the file."""
        lines = [_OPENING if self.opening else _SEALING, *sorted(self.plain)]
        return "\n".join(lines).encode()

    @classmethod
    def parse(cls, content: bytes) -> Marker:
        """Read what `content` returned.

        Raises:
            Altered: it is of a later agent.
        """
        first, *names = content.decode("utf-8", "replace").split("\n")
        if first not in {_OPENING, _SEALING}:
            raise Altered
        return cls(opening=first == _OPENING, plain=frozenset(names))
