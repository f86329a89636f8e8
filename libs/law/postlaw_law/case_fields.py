"""Reads the fields of a case, strictly: what is unknown, missing or of a wrong type is named with its place."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date, datetime
from typing import Any, NoReturn, TypeVar, cast, get_args
from zoneinfo import ZoneInfo

from postlaw_law.spelling import is_territory_code, zone_named

T = TypeVar("T")

# Room for adding months and zones, so that no valid case leaves the calendar.
_FIRST_YEAR, _LAST_YEAR = 1900, 9000


class CaseInvalid(ValueError):
    """One line: the place, what is wrong, what it must be."""


class Fields:
    """One object of a case. `place` names it in errors; "" for the case itself. `known`: the fields that there are; None for any."""

    def __init__(self, value: object, place: str, known: Collection[str] | None) -> None:
        self._place = place
        if not isinstance(value, dict):
            self._wrong("", f"it is {value!r}, and must be an object")
        self._values = cast("dict[str, Any]", value)
        for name in self._values:
            if known is not None and name not in known:
                self._wrong(name, f"unknown field; there are {', '.join(sorted(known)) or 'none'}")

    def _wrong(self, name: str, what: str) -> NoReturn:
        raise CaseInvalid(f"{'.'.join(part for part in (self._place, name) if part) or 'case'}: {what}")

    def has(self, name: str) -> bool:
        return name in self._values

    def _get(self, name: str, kind: type[T], form: str, default: T | None) -> T:
        value = self._values.get(name, default)
        if type(value) is not kind:
            self._wrong(name, "missing" if value is None and name not in self._values else f"it is {value!r}, and must be {form}")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        return self._get(name, str, "a text", default)

    def flag(self, name: str, default: bool = False) -> bool:
        return self._get(name, bool, "true or false", default)

    def number(self, name: str, most: int = 1_000_000_000) -> int:
        value = self._get(name, int, "a whole number", None)
        if not 0 <= value <= most:
            self._wrong(name, f"it is {value}, and must lie between 0 and {most}")
        return value

    def one_of(self, name: str, words: object, default: str | None = None) -> Any:
        """`words`: a Literal, of whose words the answer is one."""
        value = self.text(name, default)
        if value not in get_args(words):
            self._wrong(name, f"it is {value!r}, and must be one of {', '.join(get_args(words))}")
        return value

    def texts(self, name: str, default: list[str] | None = None) -> list[str]:
        values = self.listed(name, cast("list[Any] | None", default))
        if not all(isinstance(value, str) for value in values):
            self._wrong(name, f"it is {values!r}, and must be a list of texts")
        return values

    def all_of(self, name: str, words: object) -> list[str]:
        """A list, each of the Literal's words; empty where it is absent."""
        values = self.texts(name, [])
        for value in values:
            if value not in get_args(words):
                self._wrong(name, f"{value!r} is unknown; there are {', '.join(get_args(words))}")
        return values

    def territory(self, name: str) -> str:
        return self._territory(name, self.text(name))

    def territories(self, name: str) -> tuple[str, ...]:
        return tuple(self._territory(name, value) for value in self.texts(name))

    def _territory(self, name: str, value: str) -> str:
        if not is_territory_code(value):
            self._wrong(name, f"{value!r} is no territory; give ISO 3166-1 alpha-2, or ZZ for unknown")
        return value

    def zone(self, name: str, default: str | None = None) -> ZoneInfo:
        value = self.text(name, default)
        zone = zone_named(value)
        if zone is None:
            self._wrong(name, f"{value!r} is no time zone; give one such as Europe/Berlin")
        return zone

    def instant(self, name: str, default: str | None = None) -> datetime:
        return self._instant(name, self.text(name, default))

    def _instant(self, name: str, value: str) -> datetime:
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self._wrong(name, f"{value!r} is no time; give one such as 2026-06-15T16:00:00Z")
        if at.tzinfo is None:
            self._wrong(name, f"{value!r} has no time zone; end it with Z or an offset")
        self._in_calendar(name, at)
        return at

    def day(self, name: str, zone: ZoneInfo) -> date:
        """A local date, or an instant read in the zone."""
        return self._day(name, self.text(name), zone)

    def days(self, name: str, zone: ZoneInfo) -> list[date]:
        return [self._day(name, value, zone) for value in self.texts(name, [])]

    def _day(self, name: str, value: str, zone: ZoneInfo) -> date:
        if "T" in value:
            return self._instant(name, value).astimezone(zone).date()
        try:
            day = date.fromisoformat(value)
        except ValueError:
            self._wrong(name, f"{value!r} is no day; give one such as 2026-06-15, or an instant")
        self._in_calendar(name, day)
        return day

    def _in_calendar(self, name: str, day: date) -> None:
        if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
            self._wrong(name, f"{day} lies outside the years {_FIRST_YEAR} to {_LAST_YEAR}")

    def child(self, name: str, known: Collection[str] | None) -> Fields:
        """The object of that name; an empty one where it is absent."""
        return Fields(self._values.get(name, {}), f"{self._place}.{name}".lstrip("."), known)

    def children(self, name: str, known: Collection[str]) -> list[Fields]:
        return [Fields(value, f"{self._place}.{name}[{n}]".lstrip("."), known) for n, value in enumerate(self.listed(name, []))]

    def listed(self, name: str, default: list[Any] | None = None) -> list[Any]:
        return self._get(name, list, "a list", default)

    def mapping(self, name: str) -> dict[str, Any]:
        return self._get(name, dict, "an object", {})

    def statements(self) -> Iterator[tuple[str, bool]]:
        """What the fields state: true for a yes or a text, false for a no; nothing for an empty text."""
        for name, value in self._values.items():
            if not isinstance(value, bool | str):
                self._wrong(name, f"it is {value!r}, and must be true, false or a text")
            if value != "":
                yield name, bool(value)
