"""Every kind of damage, on every kind of file of a log: what verification says of it. `docs/audit.md` holds the table.

python -m services.audit.tests.tampering    writes it anew
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from postlaw_audit.domain.tiles import bundle, unbundle
from postlaw_audit.notes import NoteInvalid
from postlaw_audit.sources import FolderFiles
from postlaw_audit.verifying import LogInvalid, verify_log
from postlaw_audit.witness_policy import parse_policy
from services.audit.tests.logs_made import KEYS, POLICY, VERIFIERS, cosigned, entries, write, write_log, write_successions

PAGE = Path(__file__).parents[3] / "docs" / "audit.md"
BEGIN, END = "<!-- begin: the table, by services/audit/tests/tampering.py -->", "<!-- end -->"
HOLDS = "holds"
SIZE, BEFORE = 600, 500
SIGNERS = KEYS[1:2]  # the second key: whoever verifies knows the first
Parts = list[bytes]

TILES = ("tile/0/000", "tile/0/002.p/88", "tile/1/000.p/2", "tile/entries/000", "tile/entries/002.p/88")
FILES = ("checkpoint", "witnessed", "keys/2", "log.vkey", *TILES)
WHOLE = "the whole log, signed anew by the key's holder"


def parts_of(path: str, data: bytes) -> Parts:
    """What a file consists of: entries, hashes, lines; of a key its three fields."""
    if path.startswith("tile/entries"):
        return unbundle(data)
    if path.startswith("tile"):
        return [data[at : at + 32] for at in range(0, len(data), 32)]
    return data.split(b"+") if path.endswith("vkey") else data.splitlines(keepends=True)


def joined(path: str, parts: Sequence[bytes]) -> bytes:
    if path.startswith("tile/entries"):
        return bundle(parts)
    return (b"+" if path.endswith("vkey") else b"").join(parts)


def flipped(data: bytes) -> bytes:
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


OF_PARTS: dict[str, Callable[[Parts], Parts]] = {
    "dropped": lambda parts: parts[:1] + parts[2:],
    "repeated": lambda parts: [*parts[:2], *parts[1:]],
    "reordered": lambda parts: [parts[1], parts[0], *parts[2:]],
}
DAMAGES = ("flipped byte", *OF_PARTS, "truncated", "missing", "rolled back", "forked")


class Made:
    """A log with the checkpoint that its witness has seen, another one that its key's holder wrote for others, and an older state."""

    def __init__(self, folder: Path) -> None:
        self.log, self.fork, self.older = folder / "log", folder / "fork", folder / "older"
        before = write_log(self.log, entries(BEFORE), keys=SIGNERS)
        self.seen = write_log(self.log, entries(SIZE), keys=SIGNERS)
        write(self.log / "witnessed", cosigned(before, 0).encode())
        write_successions(self.log)
        note = write_log(self.fork, entries(SIZE, size=11), keys=SIGNERS)
        write(self.fork / "witnessed", cosigned(note, 0).encode())
        write(self.fork / "keys/2", write_log(folder / "other", entries(1), keys=KEYS[2:]).encode())
        write(self.fork / "log.vkey", VERIFIERS[2].encode())
        older = write_log(self.older, entries(200), keys=KEYS[:1])
        write(self.older / "witnessed", cosigned(older, 0).encode())

    def damaged(self, path: str, damage: str) -> bytes | None:
        """None: the file is not there any more."""
        data = (self.log / path).read_bytes()
        if damage == "flipped byte":
            return flipped(data)
        if damage == "truncated":
            return data[:-7]
        if damage == "missing":
            return None
        if damage == "forked":
            return (self.fork / path).read_bytes()
        if damage == "rolled back":
            return self._older(path)
        return joined(path, OF_PARTS[damage](parts_of(path, data)))

    def _older(self, path: str) -> bytes | None:
        """What lay there, or for its part of the tree, when the log had fewer entries."""
        if path == "checkpoint":
            return write_log(self.older, entries(BEFORE), keys=SIGNERS).encode()
        if not path.startswith("tile"):
            found = self.older / path
            return found.read_bytes() if found.exists() else None
        fewer = int(path.partition(".p/")[2] or 256) - 1
        return joined(path, parts_of(path, (self.log / path).read_bytes())[:fewer])


def whole(made: Made, damage: str) -> str | None:
    """What the key's holder can do to the log as a whole; None where the damage is to single files alone."""
    honest = entries(SIZE)
    found = {
        "dropped": honest[:400] + honest[401:],
        "repeated": [*honest[:401], honest[400], *honest[401:]],
        "reordered": [*honest[:400], honest[402], honest[401], honest[400], *honest[403:]],
        "rolled back": honest[:BEFORE],
        "forked": entries(SIZE, size=11),
    }.get(damage)
    return None if found is None else write_log(made.log, found, keys=SIGNERS)


async def said(made: Made, *, remembered: bool, key: str | None) -> str:
    policy = parse_policy(f"{POLICY}quorum one\n")
    try:
        await verify_log(FolderFiles(made.log), key, made.seen if remembered else None, policy)
    except (LogInvalid, NoteInvalid) as wrong:
        return str(wrong)
    return HOLDS


async def cell(folder: Path, path: str, damage: str) -> str | None:
    """What verification says; None where there is no such damage."""
    made = Made(folder)
    if path == WHOLE:
        # Only what must be remembered is: the rest is told by the log itself.
        return None if whole(made, damage) is None else await said(made, remembered=damage in ("rolled back", "forked"), key=VERIFIERS[0])
    data = made.damaged(path, damage)
    if data is None:
        (made.log / path).unlink()
    else:
        assert data != (made.log / path).read_bytes()
        write(made.log / path, data)
    return await said(made, remembered=True, key=None if path == "log.vkey" else VERIFIERS[0])


def cells() -> Iterator[tuple[str, str]]:
    for path in (*FILES, WHOLE):
        for damage in DAMAGES:
            yield path, damage


async def table() -> str:
    lines = ["| file | damage | what `postlaw audit verify` says |", "| --- | --- | --- |"]
    for path, damage in cells():
        with tempfile.TemporaryDirectory(prefix="postlaw-tampering-") as folder:
            found = await cell(Path(folder), path, damage)
        if found is not None:
            lines.append(f"| {path if path == WHOLE else f'`{path}`'} | {damage} | {found} |")
    return "\n".join(lines)


def written() -> str:
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()


def main() -> int:
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{asyncio.run(table())}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
