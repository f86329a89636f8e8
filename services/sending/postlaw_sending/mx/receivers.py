"""What is known of big receivers, as data (receivers.toml)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Receiver:
    """`site`: what its connections are counted under. `slower`: words, in lower case, with which it asks for less."""

    site: str
    connections: int
    messages: int
    rest_s: float
    slower: tuple[str, ...]

    def asks_for_less(self, text: str) -> bool:
        folded = text.lower()
        return any(words in folded for words in self.slower)


def receiver_of(host: str) -> Receiver:
    """Of an MX host's name; one that is not known stands for itself."""
    for known, hosts in _KNOWN:
        if any(host == end or host.endswith("." + end) for end in hosts):
            return known
    return Receiver(host, _OTHERWISE.connections, _OTHERWISE.messages, _OTHERWISE.rest_s, _OTHERWISE.slower)


def _receiver(site: str, rules: dict[str, Any], more: tuple[str, ...]) -> Receiver:
    return Receiver(site, rules["connections"], rules["messages"], rules["rest_minutes"] * 60.0, (*rules["slower"], *more))


_DATA = tomllib.loads(Path(__file__).with_name("receivers.toml").read_text(encoding="utf-8"))
_OTHERWISE = _receiver("", _DATA["otherwise"], ())
_KNOWN = [(_receiver(rules["name"], rules, _OTHERWISE.slower), tuple(rules["hosts"])) for rules in _DATA["receiver"]]
