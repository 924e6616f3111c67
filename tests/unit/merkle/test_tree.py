# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.merkle.tree import (
    EMPTY_ROOT,
    prove_growth,
    prove_inclusion,
    root_of,
)
from tests.unit.merkle import reference
from tests.unit.merkle.trees import Log

ENTRIES = st.lists(st.binary(max_size=3), min_size=1, max_size=70)

CT_ENTRIES = [
    bytes.fromhex(each)
    for each in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
"""Entries, roots and proofs of the tests of Certificate Transparency itself
(google/certificate-transparency, merkletree/merkle_tree_test.cc)."""

CT_ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


@pytest.mark.parametrize(("size", "root"), list(enumerate(CT_ROOTS)))
def test_roots_are_those_of_certificate_transparency(size: int, root: str) -> None:
    log = Log(CT_ENTRIES)
    assert root_of(size, log.nodes).hex() == root


@pytest.mark.parametrize(
    ("index", "size", "path"),
    [
        (0, 1, ()),
        (
            0,
            8,
            (
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ),
        ),
        (
            5,
            8,
            (
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ),
        ),
        (
            2,
            3,
            ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",),
        ),
    ],
)
def test_paths_are_those_of_certificate_transparency(
    index: int, size: int, path: tuple[str, ...]
) -> None:
    found = prove_inclusion(index, size, Log(CT_ENTRIES).nodes)
    assert tuple(each.hex() for each in found) == path


@pytest.mark.parametrize(
    ("old", "new", "proof"),
    [
        (1, 1, ()),
        (
            1,
            8,
            (
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ),
        ),
        (
            6,
            8,
            (
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ),
        ),
        (
            2,
            5,
            (
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ),
        ),
    ],
)
def test_proofs_of_growth_are_those_of_certificate_transparency(
    old: int, new: int, proof: tuple[str, ...]
) -> None:
    found = prove_growth(old, new, Log(CT_ENTRIES).nodes)
    assert tuple(each.hex() for each in found) == proof


@given(ENTRIES, st.data())
def test_everything_is_what_the_rfc_says(
    entries: list[bytes], data: st.DataObject
) -> None:
    log = Log(entries)
    size = data.draw(st.integers(1, len(entries)))
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))
    shown = entries[:size]
    assert root_of(size, log.nodes) == reference.mth(shown)
    assert prove_inclusion(index, size, log.nodes) == reference.path(index, shown)
    assert prove_growth(old, size, log.nodes) == reference.proof(old, shown)


def test_a_proof_asks_for_its_nodes_once() -> None:
    log = Log([b"%d" % number for number in range(1000)])
    log.asked = 0
    assert len(prove_inclusion(700, 999, log.nodes)) <= 10
    assert log.asked == 1


def test_complete_nodes_are_fewer_than_twice_the_leaves() -> None:
    assert len(Log([b""] * 1000).kept) < 2000


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3)])
def test_there_is_no_path_from_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        prove_inclusion(index, size, Log([b"a", b"b", b"c"]).nodes)


def test_a_log_does_not_shrink() -> None:
    with pytest.raises(ValueError, match="grow"):
        prove_growth(3, 2, Log([b"a", b"b", b"c"]).nodes)


def test_nothing_is_proved_from_an_empty_log() -> None:
    log = Log([b"a", b"b"])
    assert prove_growth(0, 2, log.nodes) == []
    assert root_of(0, log.nodes) == EMPTY_ROOT
