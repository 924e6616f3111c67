# SPDX-License-Identifier: Apache-2.0
"""Write the JSON Schemas of policies for editors, which are committed."""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from accord.core.schemas import schemas

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "policies" / "schemas"


def files() -> Iterator[tuple[Path, str]]:
    """Yield the path of every schema and what should be in it."""
    for name, schema in sorted(schemas().items()):
        text = json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True)
        yield FOLDER / f"{name}.schema.json", text + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the schemas, or say which of them are out of step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["generate", "check"])
    checking = parser.parse_args(arguments).action == "check"
    stale = 0
    for path, text in files():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if checking:
            stale += 1
            print(f"{path.relative_to(ROOT)} is out of step: run `make schemas`.")
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
