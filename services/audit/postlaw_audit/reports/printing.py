"""A page as PDF, by a Chromium of the machine's: a program that lays out what people see, and is given nothing but this page."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_WITHIN_S = 60.0


class NotPrinted(Exception):
    """There is no PDF; the message says why."""


class Printer:
    """`program`: a path or a name; empty: the first Chromium that is found, "none": never."""

    def __init__(self, program: str = "") -> None:
        self._program = program

    async def pdf(self, page: bytes) -> bytes:
        """Raises NotPrinted."""
        names = (self._program,) if self._program else _NAMES
        program = next((found for name in names if (found := shutil.which(name))), "")
        if not program:
            raise NotPrinted("No Chromium is installed where audit runs, so there is no PDF: the page prints from any browser.")
        with tempfile.TemporaryDirectory(prefix="postlaw-report-") as at:
            source, made = Path(at, "report.html"), Path(at, "report.pdf")
            await asyncio.to_thread(source.write_bytes, page)
            words = [
                "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--no-pdf-header-footer",
                "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={at}/profile", f"--print-to-pdf={made}", source.as_uri(),
            ]  # fmt: skip
            if os.geteuid() == 0:
                words.insert(0, "--no-sandbox")  # which Chromium asks of root; the page has no script
            await _run(program, words)
            try:
                return await asyncio.to_thread(made.read_bytes)
            except FileNotFoundError:
                raise NotPrinted("Chromium made no PDF.") from None


async def _run(program: str, words: list[str]) -> None:
    quiet = asyncio.subprocess.DEVNULL
    try:
        running = await asyncio.create_subprocess_exec(program, *words, stdin=quiet, stdout=quiet, stderr=quiet)
    except OSError as wrong:
        raise NotPrinted(f"Chromium cannot be run: {wrong.strerror}") from wrong
    try:
        async with asyncio.timeout(_WITHIN_S):
            ended = await running.wait()
    except TimeoutError:
        raise NotPrinted(f"Chromium took longer than {_WITHIN_S:.0f} seconds.") from None
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    if ended:
        raise NotPrinted(f"Chromium ended with {ended}.")
