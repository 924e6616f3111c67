# SPDX-License-Identifier: Apache-2.0
"""Say in one sentence why this interpreter cannot be used, before pip does in fifty."""

import sys

LOWEST = (3, 11)


def main() -> int:
    """Return 0 where this Python can run the project."""
    if sys.version_info < LOWEST:
        found = ".".join(str(part) for part in sys.version_info[:3])
        sys.stderr.write(
            "accord needs Python 3.11 or newer, and this is " + found + "; "
            "name another with `make PYTHON=python3.12 ...`.\n"
        )
        return 1
    try:
        import ensurepip
    except ImportError:
        sys.stderr.write(
            "This Python has no venv; on Debian: apt-get install python3-venv.\n"
        )
        return 1
    del ensurepip
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
