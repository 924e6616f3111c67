# SPDX-License-Identifier: Apache-2.0
"""DuckDB, locked in: it reads the named sources, spills to one private folder, no more.

It loads and fetches no extension, opens no other file or network, attaches nothing and
cannot be told otherwise later: the last thing that is set is the lock. What does not
fit into memory is spilled in plain text into the private folder (DuckDB encrypts
nothing without an extension), so the state directory belongs on an encrypted disk.
DuckDB's own messages quote source lines; none of them leaves this module.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from accord.agent.settings import Ingest
from accord.core.errors import InternalError, PreconditionFailed, SourceError

_START = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    "allow_persistent_secrets": "false",
}


_NOT_OF_A_SOURCE = (
    duckdb.OutOfMemoryException,
    duckdb.InternalException,
    duckdb.BinderException,
    duckdb.ParserException,
    duckdb.CatalogException,
)


_UNWRITTEN = "Could not write"
"""In DuckDB's words for a spill that found no room."""

_INTERRUPTED = "Query interrupted"
"""What DuckDB makes of Ctrl-C."""

_OF_PATTERNS = re.compile(r"[\[*?]")


def literal(path: Path) -> str:
    """Return the pattern that fits one path only.

    DuckDB takes ``cases[1].csv``, as browsers name a second download, for a pattern: it
    would read ``cases1.csv``.
    """
    return _OF_PATTERNS.sub(r"[\g<0>]", str(path))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@contextlib.contextmanager
def sandbox(
    folder: Path, readable: Sequence[Path], limits: Ingest
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an empty database in memory that ends with the block.

    Args:
        folder: private; the only one that is written to.
        readable: files that may be read besides.
        limits: memory, spill and threads.
    """
    connection = duckdb.connect(":memory:", config=dict(_START))
    try:
        spill = folder / "spill"
        spill.mkdir(mode=0o700)
        # Both the pattern and what it finds are looked up in this list.
        names = dict.fromkeys(
            name for path in readable for name in (str(path), literal(path))
        )
        paths = ", ".join(map(_quoted, names))
        for setting in (
            f"memory_limit = {_quoted(limits.memory)}",
            f"max_temp_directory_size = {_quoted(limits.spill)}",
            f"temp_directory = {_quoted(str(spill))}",
            f"threads = {limits.threads}",
            "preserve_insertion_order = true",
            "enable_progress_bar = false",
            "TimeZone = 'UTC'",
            f"allowed_directories = [{_quoted(str(folder))}]",
            f"allowed_paths = [{paths}]",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            connection.execute(f"SET {setting}")
        yield connection
    except duckdb.OutOfMemoryException:
        raise PreconditionFailed(
            "INGEST_TOO_LARGE",
            f"The ingest needs more than memory = {limits.memory} and spill = "
            f"{limits.spill} of [ingest] in config.toml allow. Raise one of them, or "
            "split the source into several mappings. Nothing was stored.",
        ) from None
    except duckdb.IOException:
        raise PreconditionFailed(
            "STORE_NOT_WRITABLE",
            "The disk of the state directory cannot be written: it may be full. The "
            "store that was there is unchanged; see to the disk and run the command "
            "again.",
        ) from None
    except duckdb.Error as error:
        raise InternalError(
            "INGEST_FAILED",
            f"The ingest ended with {type(error).__name__}; this is our mistake. "
            "Nothing was stored.",
        ) from None
    except RuntimeError as error:
        if str(error) == _INTERRUPTED:
            raise KeyboardInterrupt from None
        raise
    finally:
        connection.close()


@contextlib.contextmanager
def reading(table: str) -> Iterator[None]:
    """Turn DuckDB's complaints about a source into ours."""
    try:
        yield
    except _NOT_OF_A_SOURCE:
        raise
    except duckdb.Error as error:
        if isinstance(error, duckdb.IOException) and _UNWRITTEN in str(error):
            raise  # what is full is the disk of the sandbox
        raise SourceError(
            "SOURCE_UNREADABLE",
            f"{table} cannot be read ({type(error).__name__}). It may be damaged, or "
            "of another format than the mapping says.",
        ) from None
