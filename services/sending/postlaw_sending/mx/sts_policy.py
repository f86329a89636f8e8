"""What an MTA-STS policy says (RFC 8461 §3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LONGEST_S: Final = 31_557_600  # RFC 8461 §3.2: of max_age


class NoPolicy(Exception):
    """It cannot be had, or is none; the text says why."""


@dataclass(frozen=True, slots=True)
class Policy:
    """`mx`: names, or "*." and a name, which stands for one label (RFC 8461 §4.1)."""

    mode: str
    mx: tuple[str, ...]
    max_age_s: int

    @property
    def enforced(self) -> bool:
        return self.mode == "enforce"

    def names(self, host: str) -> bool:
        return host in self.mx or "*." + host.partition(".")[2] in self.mx


def parsed(text: str) -> Policy:
    """RFC 8461 §3.2. Raises NoPolicy."""
    values: dict[str, str] = {}
    mx: list[str] = []
    for line in text.splitlines():
        key, colon, value = (part.strip() for part in line.partition(":"))
        if not colon:
            continue
        if key == "mx":
            mx.append(value.lower().removesuffix("."))
        else:
            values.setdefault(key, value)  # of a key that stands twice the first counts
    age = values.get("max_age", "")
    if values.get("version") != "STSv1" or values.get("mode") not in ("enforce", "testing", "none") or not age.isdecimal() or len(age) > 10:
        raise NoPolicy("version, mode or max_age is missing or wrong")
    if values["mode"] != "none" and not mx:
        raise NoPolicy("it names no server")
    return Policy(values["mode"], tuple(mx), min(int(age), LONGEST_S))
