"""How territories, languages and zones are written: by form alone, so that one that the world has just got is not refused."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_TERRITORY = re.compile(r"[A-Z]{2}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


def is_territory_code(text: str) -> bool:
    """Whether it is written as ISO 3166-1 alpha-2 is; territories.py knows which there are."""
    return _TERRITORY.fullmatch(text) is not None


def is_language_tag(text: str) -> bool:
    """Whether it is written as BCP 47 has it, such as de or pt-BR."""
    return _LANGUAGE.fullmatch(text) is not None


def zone_named(name: str) -> ZoneInfo | None:
    """The zone of this IANA name, such as Europe/Berlin; None where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder's name, a path, nothing at all
        return None
