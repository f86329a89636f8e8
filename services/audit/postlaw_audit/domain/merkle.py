"""RFC 6962 §2.1: hashes of leaves and nodes, and the verification of inclusion and consistency proofs (RFC 9162 §2.1.3.2, §2.1.4.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()


class ProofInvalid(ValueError):
    """The proof does not show what it should."""


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def leaf_hashes(entries: Sequence[bytes]) -> list[bytes]:
    """`leaf_hash` of each, without a call for each: that is the third of it."""
    sha256 = hashlib.sha256
    return [sha256(b"\x00" + entry).digest() for entry in entries]


def subtree_root(row: bytes) -> bytes:
    """The root over a power of two of equal subtrees' roots, which stand there one after the other, 32 bytes each."""
    sha256 = hashlib.sha256
    while len(row) > 32:
        row = b"".join([sha256(b"\x01" + row[at : at + 64]).digest() for at in range(0, len(row), 64)])
    return row


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """That the leaf with this hash stands at `index` of the tree of `size` leaves. Raises ProofInvalid."""
    if not 0 <= index < size:
        raise ProofInvalid(f"there is no index {index} in a tree of {size}")
    if any(len(hash) != 32 for hash in (leaf, root, *proof)):
        raise ProofInvalid("a hash is not 32 bytes long")
    fn, sn, found = index, size - 1, leaf
    for step in proof:
        if sn == 0:
            raise ProofInvalid("the proof is too long")
        if fn & 1 or fn == sn:
            found = node_hash(step, found)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            found = node_hash(found, step)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise ProofInvalid("the proof is too short")
    if found != root:
        raise ProofInvalid("the proof leads to another root")


def verify_consistency(first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]) -> None:
    """That the tree of `second` leaves begins with the tree of `first`. Raises ProofInvalid."""
    if not 0 < first <= second:
        raise ProofInvalid(f"no consistency is defined from {first} to {second}")
    if first == second:
        if proof:
            raise ProofInvalid("the proof is too long")
        if first_root != second_root:
            raise ProofInvalid("two roots for one size")
        return
    path = list(proof) if first & (first - 1) else [first_root, *proof]
    if not path:
        raise ProofInvalid("the proof is too short")
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    from_first = from_second = path[0]
    for step in path[1:]:
        if sn == 0:
            raise ProofInvalid("the proof is too long")
        if fn & 1 or fn == sn:
            from_first, from_second = node_hash(step, from_first), node_hash(step, from_second)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            from_second = node_hash(from_second, step)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise ProofInvalid("the proof is too short")
    if from_first != first_root or from_second != second_root:
        raise ProofInvalid("the proof leads to other roots")
