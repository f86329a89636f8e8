"""The tree against outside vectors (transparency-dev/merkle, Apache-2.0; see NOTICE) and against a plain recursion."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postlaw_audit.domain.merkle import EMPTY_ROOT, ProofInvalid, leaf_hash, node_hash, verify_consistency, verify_inclusion
from postlaw_audit.domain.proofs import consistency_ranges, inclusion_ranges, perfect
from postlaw_audit.domain.tiles import GrowingTree, bundle, tile_path, unbundle
from postlaw_common.testing.promises import promise

DATA = Path(__file__).parent / "data"


def _vectors(name: str) -> list[dict[str, Any]]:
    found = json.loads((DATA / name).read_text())
    return found if isinstance(found, list) else found["vectors"]


def _bytes(text: str | None) -> bytes:
    return base64.b64decode(text or "")


@promise("A3")
@pytest.mark.parametrize("vector", _vectors("inclusion.json"), ids=lambda v: str(v.get("desc", v.get("name", ""))))
def test_an_inclusion_proof_is_judged_as_by_others(vector: dict[str, Any]) -> None:
    arguments = (
        vector["leafIdx"],
        vector["treeSize"],
        _bytes(vector["leafHash"]),
        [_bytes(p) for p in vector["proof"] or []],
        _bytes(vector["root"]),
    )
    if vector["wantErr"]:
        with pytest.raises(ProofInvalid):
            verify_inclusion(*arguments)
    else:
        verify_inclusion(*arguments)


@promise("A3")
@pytest.mark.parametrize("vector", _vectors("consistency.json"), ids=lambda v: str(v.get("desc", v.get("name", ""))))
def test_a_consistency_proof_is_judged_as_by_others(vector: dict[str, Any]) -> None:
    arguments = (
        vector["size1"],
        vector["size2"],
        _bytes(vector["root1"]),
        _bytes(vector["root2"]),
        [_bytes(p) for p in vector["proof"] or []],
    )
    if vector["wantErr"]:
        with pytest.raises(ProofInvalid):
            verify_consistency(*arguments)
    else:
        verify_consistency(*arguments)


def test_leaves_and_nodes_hash_apart() -> None:
    assert hashlib.sha256(b"").digest() == EMPTY_ROOT
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert node_hash(b"N123", b"N456").hex() == "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"


def plain_root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(plain_root(leaves[:k]), plain_root(leaves[k:]))


@settings(max_examples=60)
@given(st.integers(1, 700), st.integers(1, 300))
def test_the_growing_tree_has_the_root_of_the_plain_one(size: int, step: int) -> None:
    entries = [b"%d" % i for i in range(size)]
    tree = GrowingTree()
    tiles = {}
    for start in range(0, size, step):
        tiles |= {tile.path: tile for tile in tree.append(entries[start : start + step])}
    assert tree.root() == plain_root([leaf_hash(entry) for entry in entries])
    tiles |= {tile.path: tile for tile in tree.partial_tiles()}
    bundles = [tiles[tile_path(-1, n, min(256, size - 256 * n))].data for n in range(-(-size // 256))]
    assert [entry for data in bundles for entry in unbundle(data)] == entries
    hashes = [tiles[tile_path(0, n, min(256, size - 256 * n))].data for n in range(-(-size // 256))]
    assert b"".join(hashes) == b"".join(leaf_hash(entry) for entry in entries)


@settings(max_examples=60)
@given(st.integers(1, 400), st.data())
def test_proofs_from_their_ranges_verify(size: int, data: st.DataObject) -> None:
    leaves = [leaf_hash(b"%d" % i) for i in range(size)]
    index = data.draw(st.integers(0, size - 1))
    first = data.draw(st.integers(1, size))
    proof = [plain_root(leaves[a:b]) for a, b in inclusion_ranges(index, size)]
    verify_inclusion(index, size, leaves[index], proof, plain_root(leaves))
    proof = [plain_root(leaves[a:b]) for a, b in consistency_ranges(first, size)]
    verify_consistency(first, size, plain_root(leaves[:first]), plain_root(leaves), proof)
    for a, b in perfect(first - 1, size) if first - 1 == 0 else []:
        assert a % (b - a) == 0


def test_a_bundle_that_is_cut_short_is_refused() -> None:
    with pytest.raises(ValueError, match="cut short"):
        unbundle(bundle([b"abc"])[:-1])


def test_tiles_are_named_as_the_specification_has_them() -> None:
    assert tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert tile_path(-1, 5, 17) == "tile/entries/005.p/17"
