# SPDX-License-Identifier: Apache-2.0
"""Who has seen more: the decision by which a hub finds out that it forgot something."""

from __future__ import annotations

import dataclasses
from typing import Final

from accord.core.privacy import Loss

MOST_EPOCHS: Final = 1000
"""By which an agency can be ahead; no hub is restored that often."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one side has seen of an agency's losses and of the hub's ledger."""

    charged: Loss = Loss()  # noqa: RUF009  # it never changes
    """Of the agency's records: charged there, or held for it here."""
    epoch: int = 0
    """How often the hub's ledger was rebuilt."""
    height: int = 0
    """Of the hub's ledger in that epoch."""

    def or_more(self, other: Seen) -> Seen:
        """Return the larger of each."""
        epoch, height = max(self.place, other.place)
        return Seen(
            charged=Loss(
                nano_rho=max(self.charged.nano_rho, other.charged.nano_rho),
                nano_epsilon=max(self.charged.nano_epsilon, other.charged.nano_epsilon),
            ),
            epoch=epoch,
            height=height,
        )

    @property
    def place(self) -> tuple[int, int]:
        """Epoch and height: a rebuilt ledger is ahead of all that came before."""
        return self.epoch, self.height


def knows_more(said: Seen, here: Seen) -> bool:
    """Tell whether an agency has seen what this hub's ledger does not have.

    Args:
        said: what the agency says of itself.
        here: what the hub holds for it, and what it was told to go on without.
    """
    return here.or_more(said) != here


def lacking(more: Loss, less: Loss) -> Loss:
    """Return what one loss has beyond another; nothing where it is not larger."""
    return Loss(
        nano_rho=max(0, more.nano_rho - less.nano_rho),
        nano_epsilon=max(0, more.nano_epsilon - less.nano_epsilon),
    )
