"""C2SP tlog-tiles: the tree cut into tiles of 256 hashes, and the names that they are stored under."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from postlaw_audit.domain.merkle import EMPTY_ROOT, leaf_hashes, node_hash, subtree_root

WIDTH = 256
ENTRY_LIMIT = 65_535  # bytes: a bundle gives each entry a 16-bit length


@dataclass(frozen=True, slots=True)
class Tile:
    """`level` −1: a bundle of entries; 0 and up: hashes. `width` < 256: partial, at the right edge."""

    level: int
    number: int
    width: int
    data: bytes

    @property
    def path(self) -> str:
        return tile_path(self.level, self.number, self.width)


def tile_path(level: int, number: int, width: int = WIDTH) -> str:
    """For example `tile/0/x001/234.p/17`; entries are `tile/entries/…`."""
    digits = f"{number % 1000:03d}"
    while number >= 1000:
        number //= 1000
        digits = f"x{number % 1000:03d}/{digits}"
    partial = f".p/{width}" if width < WIDTH else ""
    return f"tile/{'entries' if level < 0 else level}/{digits}{partial}"


def bundle(entries: Sequence[bytes]) -> bytes:
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def unbundle(data: bytes) -> list[bytes]:
    """ValueError where the bundle is cut short."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or end > len(data):
            raise ValueError("an entry bundle is cut short")
        entries.append(data[at + 2 : end])
        at = end
    return entries


def cut(data: bytes, level: int, width: int) -> bytes:
    """The partial tile or bundle that this one began as. ValueError where it is cut short."""
    return data[: 32 * width] if level >= 0 else bundle(unbundle(data)[:width])


def entry_of(data: bytes, place: int) -> bytes:
    """One entry of a whole bundle, which costs a fraction of all of them."""
    at = 0
    for _ in range(place):
        at += 2 + (data[at] << 8 | data[at + 1])
    return data[at + 2 : at + 2 + (data[at] << 8 | data[at + 1])]


@dataclass(slots=True)
class GrowingTree:
    """The right edge of the tree: per level the hashes of the tile that is not full yet, and the entries of the last bundle."""

    size: int = 0
    levels: list[list[bytes]] = field(default_factory=list[list[bytes]])
    tail: list[bytes] = field(default_factory=list[bytes])

    def append(self, entries: Sequence[bytes]) -> list[Tile]:
        """Adds the entries; returns the tiles that became full."""
        full: list[Tile] = []
        if not self.levels:
            self.levels.append([])
        at = 0
        while at < len(entries):
            some = entries[at : at + WIDTH - len(self.levels[0])]
            self.tail += some
            self.levels[0] += leaf_hashes(some)
            self.size += len(some)
            at += len(some)
            if len(self.levels[0]) == WIDTH:
                full.append(Tile(-1, self.size // WIDTH - 1, WIDTH, bundle(self.tail)))
                self.tail = []
                self._close(0, full)
        return full

    def append_hashes(self, row: list[bytes]) -> list[Tile]:
        """Adds the leaf hashes of a whole bundle, where the tree ends between two; returns the tiles of hashes that became full."""
        full: list[Tile] = []
        self.levels = self.levels or [[]]
        self.levels[0] = row
        self.size += WIDTH
        self._close(0, full)
        return full

    def _close(self, level: int, full: list[Tile]) -> None:
        """The level's tile is full: its root is a hash of the tile above."""
        row, self.levels[level] = b"".join(self.levels[level]), []
        full.append(Tile(level, (self.size >> (8 * (level + 1))) - 1, WIDTH, row))
        if level + 1 == len(self.levels):
            self.levels.append([])
        self.levels[level + 1].append(subtree_root(row))
        if len(self.levels[level + 1]) == WIDTH:
            self._close(level + 1, full)

    def partial_tiles(self) -> list[Tile]:
        """What a reader of this size needs beside the full tiles."""
        tiles = [Tile(-1, self.size // WIDTH, len(self.tail), bundle(self.tail))] if self.tail else []
        for level, row in enumerate(self.levels):
            if row:
                tiles.append(Tile(level, self.size >> (8 * (level + 1)), len(row), b"".join(row)))
        return tiles

    def root(self) -> bytes:
        if not self.size:
            return EMPTY_ROOT
        found: bytes | None = None
        for row in self.levels:
            end = len(row)
            while end:
                width = end & -end
                peak = subtree_root(b"".join(row[end - width : end]))
                found = peak if found is None else node_hash(peak, found)
                end -= width
        assert found is not None
        return found
