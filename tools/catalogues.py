# SPDX-License-Identifier: Apache-2.0
"""Compile the catalogues of sentences, which are committed in both forms."""

import argparse
import datetime
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parent.parent
BEGINNING = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def catalogues() -> Iterator[tuple[Path, bytes]]:
    """Yield the path of every compiled catalogue and what should be in it."""
    for source in sorted(ROOT.glob("*/accord/*/locale/*/LC_MESSAGES/*.po")):
        with source.open("rb") as file:
            catalogue = read_po(file, abort_invalid=True)
        # Without a date of its own the header would hold the minute of the build.
        catalogue.creation_date = catalogue.revision_date = BEGINNING
        compiled = io.BytesIO()
        write_mo(compiled, catalogue)
        yield source.with_suffix(".mo"), compiled.getvalue()


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the compiled catalogues, or say which of them are out of step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["compile", "check"])
    checking = parser.parse_args(arguments).action == "check"
    stale = 0
    for path, content in catalogues():
        if path.is_file() and path.read_bytes() == content:
            continue
        if checking:
            stale += 1
            print(f"{path.relative_to(ROOT)} is out of step: run `make messages`.")
        else:
            path.write_bytes(content)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
