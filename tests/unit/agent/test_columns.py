# SPDX-License-Identifier: Apache-2.0
"""The column store: what is written comes back, and nothing half-written does."""

from __future__ import annotations

import json
import resource
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from accord.agent.store import columns as module
from accord.agent.store.columns import Columns, write_columns
from accord.agent.store.form import StoreForm
from accord.core.errors import (
    Conflict,
    IntegrityError,
    InternalError,
    PreconditionFailed,
)
from tests.unit.agent.small_stores import CREATED, DIGEST

Parts = dict[str, npt.NDArray[Any]]


def small() -> Parts:
    return {
        "person": np.array([0, 0, 1, 2], np.uint32),
        "person_known": np.array([1, 1, 1, 0], np.uint8),
        "order_key": np.array([5, 2**64 - 1, 0, 1], np.uint64),
        "gender": np.array([0, 1, 2, 0], np.uint8),
        "month": np.array([0, 300, 2, 0], np.uint16),
        "means__0": np.array([1, 2, 4, 2**63 - 1], np.uint64),
        "means__1": np.array([1, 0, 0, 3], np.uint8),
        "days": np.array([-(2**31), 0, 1, 2], np.int32),
    }


def write(directory: Path, parts: Parts | None = None) -> StoreForm:
    return write_columns(
        directory,
        (small() if parts is None else parts).items(),
        model="test",
        model_digest=DIGEST,
        created_at=CREATED,
    )


def edit(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = directory / "store.json"
    form = json.loads(path.read_text())
    change(form)
    path.write_text(json.dumps(form))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    form = write(tmp_path / "deep" / "store")
    with Columns.open(tmp_path / "deep" / "store", model_digest=DIGEST) as columns:
        assert columns.form == form
        assert (columns.rows, form.persons, form.order_key_ties) == (4, 3, False)
        for name, values in small().items():
            assert columns.array(name).dtype == values.dtype
            assert columns.array(name).tolist() == values.tolist()
        assert columns.person.tolist() == [0, 0, 1, 2]
        assert columns.person_known.tolist() == [1, 1, 1, 0]
        assert columns.order_key.tolist()[1] == 2**64 - 1
        assert columns.is_multi("means")
        assert not columns.is_multi("gender")
        assert [word.dtype.str for word in columns.words("means")] == ["<u8", "|u1"]


def test_an_empty_store_is_a_store(tmp_path: Path) -> None:
    form = write(tmp_path, {name: values[:0] for name, values in small().items()})
    assert (form.rows, form.persons) == (0, 0)
    with Columns.open(tmp_path) as columns:
        assert columns.rows == 0


def test_only_the_owner_reads_and_nobody_writes_through_the_map(tmp_path: Path) -> None:
    write(tmp_path / "store")
    for path in [*(tmp_path / "store").iterdir()]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "store").stat().st_mode) == 0o700
    with (
        Columns.open(tmp_path / "store") as columns,
        pytest.raises(ValueError, match="read-only"),
    ):
        columns.person[0] = 1


def test_closing_unmaps_the_files(tmp_path: Path) -> None:
    write(tmp_path)

    def mapped() -> bool:
        return str(tmp_path) in Path("/proc/self/maps").read_text()

    columns = Columns.open(tmp_path)
    assert mapped()
    columns.close()
    assert not mapped()
    with pytest.raises(PreconditionFailed, match="no column 'person'"):
        _ = columns.person


def test_ties_are_found_within_a_person_only(tmp_path: Path) -> None:
    parts = small()
    parts["order_key"] = np.array([5, 6, 6, 6], np.uint64)
    assert not write(tmp_path / "across", parts).order_key_ties
    parts["order_key"] = np.array([5, 5, 6, 7], np.uint64)
    assert write(tmp_path / "within", parts).order_key_ties


def test_order_is_checked_across_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block boundary hides neither a tie nor rows out of order."""
    monkeypatch.setattr(module, "_BLOCK", 1)
    parts = small()
    assert write(tmp_path / "good", parts).persons == 3
    parts["order_key"] = np.array([5, 5, 6, 7], np.uint64)
    assert write(tmp_path / "tied", parts).order_key_ties
    parts["person"] = np.array([0, 1, 0, 2], np.uint32)
    with pytest.raises(InternalError, match="sorted by person"):
        write(tmp_path / "bad", parts)


@pytest.mark.parametrize(
    ("name", "values", "sentence"),
    [
        ("person", np.array([1, 0, 1, 2], np.uint32), "not sorted by person"),
        ("person", np.array([0, 0, 1, 2], np.int64), "column person must be"),
        ("order_key", np.array([9, 8, 0, 1], np.uint64), "not sorted by order_key"),
        ("person_known", np.array([0, 0, 1, 1], np.uint8), "shares its ordinal"),
        ("person_known", np.array([1, 0, 1, 1], np.uint8), "shares its ordinal"),
        ("person_known", np.array([2, 2, 1, 1], np.uint8), "shares its ordinal"),
        ("gender", np.array([0, 1, 2], np.uint8), "not of one length"),
        ("gender", np.zeros((4, 1), np.uint8), "column gender must be"),
        ("gender", np.zeros(4, np.float64), "column gender must be"),
        ("gender", np.zeros(4, ">u2"), "column gender must be"),
        ("../gender", np.zeros(4, np.uint8), "name that no file should have"),
        ("means", np.zeros(4, np.uint8), "bitmask columns of means"),
        ("means__3", np.zeros(4, np.uint8), "bitmask columns of means"),
    ],
)
def test_columns_that_break_a_rule_are_not_stored(
    tmp_path: Path, name: str, values: npt.NDArray[Any], sentence: str
) -> None:
    with pytest.raises(InternalError, match=sentence):
        write(tmp_path, small() | {name: values})
    assert list(tmp_path.iterdir()) == []


def test_missing_and_repeated_columns_are_not_stored(tmp_path: Path) -> None:
    parts = small()
    del parts["order_key"]
    with pytest.raises(InternalError, match="order_key is missing"):
        write(tmp_path, parts)

    def twice() -> Iterator[tuple[str, npt.NDArray[Any]]]:
        yield from small().items()
        yield from small().items()

    with pytest.raises(InternalError, match="two columns are called person"):
        write_columns(
            tmp_path, twice(), model="test", model_digest=DIGEST, created_at=CREATED
        )
    assert list(tmp_path.iterdir()) == []


def test_a_complete_store_is_never_written_again(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(Conflict, match="already holds a complete store"):
        write(tmp_path)


def test_a_source_that_fails_leaves_no_store(tmp_path: Path) -> None:
    def failing() -> Iterator[tuple[str, npt.NDArray[Any]]]:
        yield "person", small()["person"]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_columns(
            tmp_path, failing(), model="test", model_digest=DIGEST, created_at=CREATED
        )
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(PreconditionFailed, match="no complete store"):
        Columns.open(tmp_path)


def test_what_a_crash_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / ".person.npy.partial").write_bytes(b"half")
    (tmp_path / "gender.npy").write_bytes(b"of an ingest that was killed")
    (tmp_path / "cases.parquet").write_bytes(b"somebody else's")
    write(tmp_path)
    with Columns.open(tmp_path) as columns:
        assert columns.array("gender").tolist() == [0, 1, 2, 0]
    assert not (tmp_path / ".person.npy.partial").exists()
    assert (tmp_path / "cases.parquet").read_bytes() == b"somebody else's"


def test_a_disk_that_takes_no_more_is_reported(tmp_path: Path) -> None:
    parts = {name: np.repeat(values, 1 << 16) for name, values in small().items()}
    parts["person"] = np.arange(1 << 18, dtype=np.uint32)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, before[1]))
    try:
        with pytest.raises(
            PreconditionFailed, match="cannot be written: File too large"
        ):
            write(tmp_path, parts)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(PreconditionFailed, match="cannot be written"):
        write(tmp_path / "file")


def test_a_store_of_another_model_or_format_is_told_apart(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(PreconditionFailed) as failure:
        Columns.open(tmp_path, model_digest="1" * 64)
    assert failure.value.reason == "STORE_MODEL"


@pytest.mark.parametrize("others", [{}, {"of_a_later_version": [1]}])
def test_a_store_of_another_format_says_what_to_do(
    tmp_path: Path, others: dict[str, Any]
) -> None:
    """Whatever else a newer program has put there, or an older one has not."""
    write(tmp_path)
    edit(tmp_path, lambda form: form.update(format=2, **others))
    with pytest.raises(PreconditionFailed, match="install the newer one") as failure:
        Columns.open(tmp_path)
    assert failure.value.reason == "STORE_FORMAT"
    edit(tmp_path, lambda form: (form.update(format=0), form.pop("persons")))
    with pytest.raises(PreconditionFailed, match="ingest` again") as failure:
        Columns.open(tmp_path)
    assert failure.value.reason == "STORE_FORMAT"
    for nonsense in ("2", None, True, 1.5):
        edit(tmp_path, lambda form, it=nonsense: form.update(format=it))  # type: ignore[misc]  # bound now
        with pytest.raises((IntegrityError, PreconditionFailed)):
            Columns.open(tmp_path)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda form: form.update(rows=-1), "'rows'"),
        (lambda form: form.update(rows="4"), "'rows'"),
        (lambda form: form.update(extra=1), "'extra'"),
        (lambda form: form.pop("persons"), "'persons'"),
        (lambda form: form.update(created_at="2026-01-31T00:00:00"), "'created_at'"),
        (lambda form: form["columns"][0].update(name="../x"), "columns.0.name"),
        (lambda form: form["columns"][0].update(dtype="|O"), "columns.0.dtype"),
        (lambda form: form["columns"].pop(0), "lists columns wrongly"),
        (
            lambda form: form["columns"].append(form["columns"][0]),
            "lists columns wrongly",
        ),
        (lambda form: form["columns"][0].update(dtype="|u1"), "lists columns wrongly"),
        (
            lambda form: form["columns"][3].update(dtype="<u2"),
            "gender.npy is not of the",
        ),
        (lambda form: form["columns"][3].update(name="other"), "other.npy is missing"),
        (lambda form: form.update(rows=3), "person.npy is not of the length"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], place: str
) -> None:
    write(tmp_path)
    edit(tmp_path, change)
    with pytest.raises(IntegrityError, match=place) as failure:
        Columns.open(tmp_path)
    assert failure.value.reason == "STORE_BROKEN"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null"])
def test_a_description_that_is_not_json_is_refused(
    tmp_path: Path, content: bytes
) -> None:
    write(tmp_path)
    (tmp_path / "store.json").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"store\.json is not valid"):
        Columns.open(tmp_path)


def test_a_description_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.json").mkdir()
    with pytest.raises(IntegrityError, match=r"store\.json: Is a directory"):
        Columns.open(tmp_path)


@pytest.mark.parametrize("size", [0, 5, 127, 130])
def test_a_file_cut_short_is_refused(tmp_path: Path, size: int) -> None:
    write(tmp_path)
    path = tmp_path / "person.npy"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(IntegrityError, match=r"person\.npy cannot be read"):
        Columns.open(tmp_path)


def test_an_archive_or_pickle_in_place_of_a_column_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "gender.npy"
    with path.open("wb") as file:
        np.savez(file, gender=small()["gender"])
    with pytest.raises(IntegrityError, match=r"gender\.npy is not of the type"):
        Columns.open(tmp_path)
    with path.open("wb") as file:
        np.save(file, np.array([{}, {}, {}, {}], object), allow_pickle=True)
    with pytest.raises(IntegrityError, match=r"gender\.npy cannot be read"):
        Columns.open(tmp_path)


def test_messages_hold_no_stored_value(tmp_path: Path) -> None:
    parts = small()
    parts["order_key"] = np.array([987654321, 123456789, 0, 1], np.uint64)
    with pytest.raises(InternalError) as failure:
        write(tmp_path, parts)
    assert "987654321" not in failure.value.sentence
    assert "123456789" not in failure.value.sentence
