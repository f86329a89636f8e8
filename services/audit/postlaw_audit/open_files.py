"""Which files of the log whoever asks is given: all that proves it. Entries hold ids and sealed data of every customer, so they are given
only where the operator says so; an auditor reads them in the bucket, or in a copy of it."""

from __future__ import annotations

import re

from postlaw_audit.sources import LogFiles
from postlaw_common.errors import Denied, NotFound

_FILE = re.compile(
    r"checkpoint|witnessed|log\.vkey|keys/[1-9][0-9]{0,3}"
    r"|tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/(?:x[0-9]{3}/){0,6}[0-9]{3}(?:\.p/[1-9][0-9]{0,2})?"
)


class OpenFiles:
    def __init__(self, files: LogFiles, entries_are_public: bool) -> None:
        self._files = files
        self._entries_are_public = entries_are_public

    async def get(self, path: str) -> bytes:
        """Raises NotFound, Denied."""
        found = _FILE.fullmatch(path)
        if found is None:
            raise NotFound("The audit log has no such file; it is laid out as C2SP tlog-tiles.")
        if found[1] == "entries" and not self._entries_are_public:
            raise Denied("Entries of the audit log are not open to everyone. Ask whoever runs this installation for a copy of the log.")
        data = await self._files.get(path)
        if data is None:
            raise NotFound("The audit log has no such file. A partial tile may have become a full one.")
        return data
