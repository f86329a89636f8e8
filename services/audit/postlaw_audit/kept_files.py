"""Files of the log that were read, the last of them, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict


class KeptFiles:
    """Up to `most` bytes; what was read longest ago goes first. A file larger than a sixteenth of that is not kept."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._bytes = 0
        self._files: OrderedDict[str, bytes] = OrderedDict()

    def get(self, path: str) -> bytes | None:
        if path in self._files:
            self._files.move_to_end(path)
        return self._files.get(path)

    def keep(self, path: str, data: bytes) -> None:
        if len(data) > self._most // 16 or path in self._files:  # another reader may have been quicker
            return
        self._files[path] = data
        self._bytes += len(data)
        while self._bytes > self._most:
            self._bytes -= len(self._files.popitem(last=False)[1])
