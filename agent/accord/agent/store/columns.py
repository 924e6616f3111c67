# SPDX-License-Identifier: Apache-2.0
"""The column store of an agency: one mapped ``.npy`` file per column of its cases.

One row per case, sorted by person ordinal and then by ``order_key``; that order is
what makes bounding exact without a sort (`accord.agent.store.bound`). Beside one or
more columns per dimension there are three that every store has::

    person        uint32  dense ordinal of the pseudonym, ascending
    person_known  uint8   0 where the record names nobody; then its ordinal is its own
    order_key     uint64  rank of the case among those of its person

A single-valued dimension is one column of leaf codes, called as the dimension. A
multi-valued one is a bitmask in the columns ``name__0``, ``name__1``...: bit *b* of
word *w* stands for leaf 63 w + b.

``store.json`` is written last and never again: a directory without it is not a store.
Nothing here knows a pseudonym or a source value, and no message holds a stored one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pydantic

from accord.agent.store.durable import created_file, sync_directory
from accord.agent.store.form import (
    DESCRIPTION,
    FORMAT,
    NAME,
    REQUIRED,
    ColumnForm,
    StoreForm,
    require_format,
)
from accord.core.errors import (
    Conflict,
    IntegrityError,
    InternalError,
    PreconditionFailed,
)

LEAVES_PER_WORD = 63
"""Leaves in one word of a bitmask; the top bit of a 64-bit word stays free."""

_CODES = ("|u1", "<u2", "<u4", "<u8")
_NUMBERS = ("<i4", "<i8")
_WORD = re.compile(r"(?P<dimension>.+)__(?P<word>[0-9]+)")
_BLOCK = 1 << 20

Column = npt.NDArray[Any]


class _Origin(NamedTuple):
    """Where the columns come from."""

    model: str
    model_digest: str
    created_at: datetime.datetime
    generation: int


def write_columns(
    directory: Path,
    columns: Iterable[tuple[str, Column]],
    *,
    model: str,
    model_digest: str,
    created_at: datetime.datetime,
    generation: int = 0,
) -> StoreForm:
    """Write a complete store, or leave nothing that could be taken for one.

    Columns are taken one at a time, so a generator needs memory for one of them. A
    crash at any point leaves a directory without ``store.json``, which the next call
    fills again.

    Args:
        directory: made if absent; other files in it are left alone.
        columns: name and values, sorted by person and ``order_key``.
        model: name of the data model whose leaf codes these are.
        model_digest: its digest.
        created_at: aware time that the store will carry.
        generation: of the keys that made persons and order keys.

    Raises:
        Conflict: STORE_EXISTS, the directory holds a complete store.
        PreconditionFailed: STORE_NOT_WRITABLE, with the system's own reason.
        InternalError: STORE_MALFORMED, the columns break a rule of this module.
    """
    if (directory / DESCRIPTION).exists():
        raise Conflict(
            "STORE_EXISTS",
            f"{directory} already holds a complete store; choose a new directory.",
        )
    partial: list[Path] = []
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        origin = _Origin(model, model_digest, created_at, generation)
        return _write_all(directory, columns, partial, origin)
    except OSError as error:
        raise PreconditionFailed(
            "STORE_NOT_WRITABLE",
            f"The store in {directory} cannot be written: {error.strerror or error}. "
            "Nothing was replaced; see to the disk and run the ingest again.",
        ) from error
    finally:
        for path in partial:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _write_all(
    directory: Path,
    columns: Iterable[tuple[str, Column]],
    partial: list[Path],
    origin: _Origin,
) -> StoreForm:
    """Write temporary files, check them, then rename; the description comes last."""
    forms: list[ColumnForm] = []
    lengths: set[int] = set()
    for name, values in columns:
        _check_column(name, values, taken={form.name for form in forms})
        partial.append(_partial(directory, name))
        _write_array(partial[-1], values)
        forms.append(
            ColumnForm.model_validate({"name": name, "dtype": values.dtype.str})
        )
        lengths.add(len(values))
    _check_set(forms, lengths)
    persons, ties = _check_order(directory)
    form = StoreForm(
        format=FORMAT,
        model=origin.model,
        model_digest=origin.model_digest,
        rows=lengths.pop(),
        persons=persons,
        order_key_ties=ties,
        created_at=origin.created_at,
        generation=origin.generation,
        columns=forms,
    )
    for column in forms:
        _partial(directory, column.name).replace(directory / f"{column.name}.npy")
    sync_directory(directory)
    description = directory / f".{DESCRIPTION}.partial"
    partial.append(description)
    with created_file(description) as file:
        file.write(form.model_dump_json(indent=1).encode())
    description.replace(directory / DESCRIPTION)
    sync_directory(directory)
    return form


def _partial(directory: Path, name: str) -> Path:
    return directory / f".{name}.npy.partial"


def _write_array(path: Path, values: Column) -> None:
    """Write an ``.npy`` file without a second copy of the column in memory."""
    flat = np.ascontiguousarray(values)
    raw = flat.view(np.uint8).data
    with created_file(path) as file:
        np.lib.format.write_array_header_1_0(
            file, np.lib.format.header_data_from_array_1_0(flat)
        )
        file.write(raw)


def _malformed(what: str) -> InternalError:
    return InternalError(
        "STORE_MALFORMED", f"The store was not written: {what}. This is our mistake."
    )


def _check_column(name: str, values: Column, *, taken: set[str]) -> None:
    if not NAME.fullmatch(name):
        raise _malformed("a column has a name that no file should have")
    if name in taken:
        raise _malformed(f"two columns are called {name}")
    allowed = (REQUIRED[name],) if name in REQUIRED else (*_CODES, *_NUMBERS)
    if values.dtype.str not in allowed or values.ndim != 1:
        shown = " or ".join(allowed)
        raise _malformed(f"column {name} must be one-dimensional of type {shown}")


def _check_set(forms: Iterable[ColumnForm], lengths: set[int]) -> None:
    names = [form.name for form in forms]
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise _malformed(f"column {missing[0]} is missing")
    if len(lengths) != 1:
        raise _malformed("its columns are not of one length")
    words: dict[str, set[int]] = {}
    for name in names:
        if match := _WORD.fullmatch(name):
            words.setdefault(match["dimension"], set()).add(int(match["word"]))
    for dimension, found in words.items():
        if dimension in names or found != set(range(len(found))):
            raise _malformed(f"the bitmask columns of {dimension} do not fit together")


def _check_order(directory: Path) -> tuple[int, bool]:
    """Return the number of ordinals and whether order keys tie; check the sort order.

    Runs over the temporary files in blocks that overlap by one row.
    """
    person, known, key = (
        np.load(_partial(directory, name), mmap_mode="r", allow_pickle=False)
        for name in ("person", "person_known", "order_key")
    )
    persons, ties = min(len(person), 1), False
    for start in range(0, len(person), _BLOCK):
        part = slice(start, start + _BLOCK + 1)
        block = np.asarray(person[part])
        same = block[1:] == block[:-1]
        keys, flags = np.asarray(key[part]), np.asarray(known[part])
        if (block[1:] < block[:-1]).any():
            raise _malformed("its rows are not sorted by person")
        if (same & (keys[1:] < keys[:-1])).any():
            raise _malformed("the rows of a person are not sorted by order_key")
        if (flags > 1).any() or (same & ((flags[1:] & flags[:-1]) == 0)).any():
            raise _malformed("a record that names no person shares its ordinal")
        persons += len(same) - int(np.count_nonzero(same))
        ties = ties or bool((same & (keys[1:] == keys[:-1])).any())
    return persons, ties


def _broken(directory: Path, what: str) -> IntegrityError:
    return IntegrityError(
        "STORE_BROKEN",
        f"The store in {directory} is damaged: {what}. "
        "Run `accord-agent ingest` again.",
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """An open store; its arrays are views of mapped files and cannot be written to."""

    form: StoreForm
    _arrays: dict[str, Column] = dataclasses.field(repr=False)

    @classmethod
    def open(cls, directory: Path, *, model_digest: str | None = None) -> Self:
        """Map the store in *directory* after comparing it with its description.

        Args:
            directory: where `write_columns` put it.
            model_digest: the data model that codes will be read by, if it matters.

        Raises:
            PreconditionFailed: STORE_ABSENT, STORE_FORMAT or STORE_MODEL.
            IntegrityError: STORE_BROKEN, with the file that does not fit.
        """
        form = _read_form(directory)
        if model_digest is not None and form.model_digest != model_digest:
            raise PreconditionFailed(
                "STORE_MODEL",
                f"The store in {directory} was ingested by another version of the data "
                f"model {form.model}. Run `accord-agent ingest` again.",
                model=form.model,
            )
        arrays = {
            column.name: _map(directory, column, form.rows) for column in form.columns
        }
        return cls(form=form, _arrays=arrays)

    def close(self) -> None:
        """Let go of the files; they are unmapped once no view of them is left."""
        self._arrays.clear()

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the store."""
        self.close()

    @property
    def rows(self) -> int:
        """Number of cases."""
        return self.form.rows

    @property
    def person(self) -> npt.NDArray[np.uint32]:
        """Ascending ordinals."""
        return self.array("person")

    @property
    def person_known(self) -> npt.NDArray[np.uint8]:
        """Whether the record names a person."""
        return self.array("person_known")

    @property
    def order_key(self) -> npt.NDArray[np.uint64]:
        """Rank of the case among those of its person."""
        return self.array("order_key")

    def array(self, name: str) -> Column:
        """Return the column called *name*.

        Raises:
            PreconditionFailed: STORE_COLUMN, this store has no such column.
        """
        found = self._arrays.get(name)
        if found is None:
            raise PreconditionFailed(
                "STORE_COLUMN",
                f"The store has no column {name!r} (or was closed). Run `accord-agent "
                "ingest` with a mapping for it.",
                column=name,
            )
        return found

    def is_multi(self, dimension: str) -> bool:
        """Return whether *dimension* is stored as a bitmask."""
        return f"{dimension}__0" in self._arrays

    def words(self, dimension: str) -> tuple[Column, ...]:
        """Return the bitmask columns of a multi-valued dimension, lowest leaves first.

        Raises:
            PreconditionFailed: STORE_COLUMN, this store has no such column.
        """
        found = [self.array(f"{dimension}__0")]
        while (name := f"{dimension}__{len(found)}") in self._arrays:
            found.append(self._arrays[name])
        return tuple(found)


def _read_form(directory: Path) -> StoreForm:
    try:
        text = (directory / DESCRIPTION).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise PreconditionFailed(
            "STORE_ABSENT",
            f"There is no complete store in {directory}. Run `accord-agent ingest`.",
        ) from None
    except OSError as error:
        raise _broken(directory, f"{DESCRIPTION}: {error.strerror}") from error
    require_format(text, directory)
    try:
        form = StoreForm.model_validate_json(text, strict=True)
    except pydantic.ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise _broken(directory, f"{DESCRIPTION} is not valid at {place!r}") from None
    try:
        for index, column in enumerate(form.columns):
            earlier = {entry.name for entry in form.columns[:index]}
            _check_column(column.name, np.empty(0, column.dtype), taken=earlier)
        _check_set(form.columns, {form.rows})
    except InternalError:
        raise _broken(directory, f"{DESCRIPTION} lists columns wrongly") from None
    return form


def _map(directory: Path, column: ColumnForm, rows: int) -> Column:
    name = f"{column.name}.npy"
    try:
        mapped = np.load(directory / name, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise _broken(directory, f"{name} is missing") from None
    except (OSError, ValueError, EOFError):
        raise _broken(directory, f"{name} cannot be read") from None
    if not isinstance(mapped, np.memmap) or mapped.dtype.str != column.dtype:
        raise _broken(directory, f"{name} is not of the type in {DESCRIPTION}")
    if mapped.shape != (rows,):
        raise _broken(directory, f"{name} is not of the length in {DESCRIPTION}")
    return mapped.view(np.ndarray)
