"""Whether a person did it: by evidence of the moment, and the reason is kept. What is not shown to be a machine counts as a person's."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, Protocol

from postlaw_sending.tracking.domain import Kind

Machine = Literal["", "head-request", "prefetch", "known-scanner", "image-proxy", "too-quick", "many-links"]

TOO_QUICK_S: Final = 2  # after we handed it over: nobody has it on a screen, let alone read, by then
MANY: Final = 3  # links of one message …
WITHIN_US: Final = 1_000_000  # … within this time

_KNOWN = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_EVERYWHERE: Final[tuple[str, ...]] = tuple(_KNOWN["everywhere"])
_PROXIES: Final[tuple[str, ...]] = tuple(_KNOWN["opens"])
_PROXIES_EXACTLY: Final = frozenset[str](_KNOWN["opens_exactly"])


class Click(Protocol):
    @property
    def link(self) -> int: ...
    @property
    def at_us(self) -> int: ...


def machine(kind: Kind, user_agent: str, *, head: bool, prefetch: bool, after_s: float) -> Machine:
    """Of one request alone. `after_s`: since the hand-off."""
    agent = user_agent.strip().lower()
    if head:
        return "head-request"
    if prefetch:
        return "prefetch"
    if not agent or any(name in agent for name in _EVERYWHERE):
        return "known-scanner"
    if kind == "open" and (agent in _PROXIES_EXACTLY or any(name in agent for name in _PROXIES)):
        return "image-proxy"
    return "too-quick" if after_s <= TOO_QUICK_S else ""


def in_a_burst(clicks: Sequence[Click]) -> Iterator[int]:
    """Places of those that belong to a burst of many links. `clicks`: one person's of one campaign, by time."""
    begin, last = 0, -1
    for end, click in enumerate(clicks):
        while click.at_us - clicks[begin].at_us > WITHIN_US:
            begin += 1
        if len({one.link for one in clicks[begin : end + 1]}) >= MANY:
            yield from range(max(begin, last + 1), end + 1)
            last = end
