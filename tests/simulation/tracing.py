# SPDX-License-Identifier: Apache-2.0
"""Everything that is said and committed in a history, in order, as one digest.

``python -m tests.simulation.tracing SEED FOLDER`` prints that of a random history.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

from tests.simulation.histories import History, Player, random_history
from tests.simulation.template import make_template


def traced(player: Player, history: History) -> str:
    """Return a digest of the order of all events; keys and noise are no part of it."""
    lines: list[str] = []
    with player.world() as world:
        hear = world.witness.hear
        for wire in world.wires.values():

            def heard(agency: str, message: object) -> None:
                lines.append(f"{agency} {_kinds(message)}")
                hear(agency, message)  # type: ignore[arg-type]

            wire.heard_by(heard)
        for operation in history:
            world.do(operation)
            commits = {n: m.disk.commits for n, m in sorted(world.machines.items())}
            lines.append(f"{operation} {commits} {world.loop.time()}")
        world.finish()
        world.witness.end()
        lines += [
            f"{number} {request.refused} {request.told and request.told.state}"
            for number, request in enumerate(world.requests)
        ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _kinds(message: object) -> str:
    """Return what kind of message it is, and of how many questions it speaks."""
    kind = message.WhichOneof("message")  # type: ignore[attr-defined]
    content = getattr(message, kind)
    parts = [getattr(content, f.name) for f in content.DESCRIPTOR.fields]
    sizes = [
        len(p) for p in parts if hasattr(p, "__len__") and not isinstance(p, bytes)
    ]
    return f"{kind} {sizes}"


def main() -> None:
    """Print the digest of one history."""
    seed, folder = int(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir()
    template = make_template(folder)
    worlds = folder / "worlds"
    worlds.mkdir()
    sys.stdout.write(traced(Player(template, worlds), random_history(seed)))
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


if __name__ == "__main__":
    main()
