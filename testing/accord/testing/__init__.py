# SPDX-License-Identifier: Apache-2.0
"""A whole federation in one process, with invented records, for learning and tests.

::

    from accord.testing import world

    with world(agencies=5) as made:
        agreement = made.hub.agreement("world")
        print(agreement.persons().by("gender").release(epsilon=2, purpose="learning"))

`World.hub` is the SDK's own `accord.client.session.Hub`. Behind it run the hub's
services, its ledger and its archive, and the agents' stores and noise: only networks,
certificates and waiting are left out. **The records are invented**: every figure says
so (``not_covered``), and none says anything about any country.
"""

from __future__ import annotations

from accord.client.frames import missing

try:
    from accord.testing.world import World, world
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] == "accord":
        raise
    raise missing(error.name, extra="demo") from None

__all__ = ["World", "world"]
