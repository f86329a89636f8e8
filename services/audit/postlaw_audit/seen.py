"""The newest checkpoint of each log that was found valid from here, kept where the log's operator cannot reach it: so that a log that was
cut back, or begun anew, is told from one that has grown."""

from __future__ import annotations

import hashlib
from pathlib import Path

from postlaw_audit.notes import Checkpoint


class SeenCheckpoints:
    """A file a log, below `folder`, which the first `keep` makes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file_of(self, origin: str) -> Path:
        return self._folder / f"{hashlib.sha256(origin.encode()).hexdigest()[:32]}.checkpoint"

    def of(self, origin: str) -> str | None:
        """The signed note, as it was published."""
        file = self.file_of(origin)
        return file.read_text(encoding="utf-8") if file.exists() else None

    def keep(self, checkpoint: Checkpoint, note: str) -> None:
        """The one that was there is one that this continues."""
        file = self.file_of(checkpoint.origin)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(note, encoding="utf-8")
        part.replace(file)
