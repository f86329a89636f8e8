"""What machines write when mail comes back (phrases.toml), as patterns."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

_PHRASES: Final = tomllib.loads(Path(__file__).with_name("phrases.toml").read_text(encoding="utf-8"))


def phrases(part: str, name: str, *, before: str = "") -> re.Pattern[str]:
    """One of them, in any case. `before`: what must stand before it."""
    return re.compile(f"{before}(?:{'|'.join(_PHRASES[part][name])})", re.IGNORECASE | re.MULTILINE)
