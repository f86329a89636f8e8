"""Which language a page is in: the one chosen on the page, else the one that its person chose to keep, else what the browser asks for,
else English."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs

from babel.core import negotiate_locale

# Each has a file in texts/. English first: it is what nobody asked against.
LANGUAGES = ("en", "de", "fr", "es")
FIELD = "lang"  # in the query, as in "?lang=fr"
_LONGEST_HEADER = 500
_HIGHEST = 1.0


@dataclass(slots=True)
class Language:
    """Of one answer: `tag` is one of LANGUAGES, "" where the answer is JSON. `chosen`: on the page itself."""

    tag: str = ""
    chosen: bool = False

    def is_kept(self, kept: str) -> None:
        """Once it is known whose page it is: what they chose to keep ("" for nothing) counts, unless they have chosen here."""
        if not self.chosen and kept in LANGUAGES:
            self.tag = kept


def language_of(query: bytes, accept_language: bytes) -> Language:
    """As far as the request says it, whatever was sent."""
    chosen = parse_qs(query.decode("latin-1"), max_num_fields=20).get(FIELD, [""])[0] if query.count(b"&") < 20 else ""
    if chosen in LANGUAGES:
        return Language(chosen, chosen=True)
    wanted = _preferred(accept_language[:_LONGEST_HEADER].decode("latin-1").lower())
    return Language(negotiate_locale(wanted, LANGUAGES, sep="-") or LANGUAGES[0])


def _preferred(accept_language: str) -> list[str]:
    """Language ranges, the most wanted first, those of quality 0 left out (RFC 9110 §12.5.4)."""
    ranges: list[tuple[float, str]] = []
    for part in accept_language.split(","):
        tag, _, weight = part.partition(";")
        quality = _quality(weight)
        if tag.strip() and quality > 0:
            ranges.append((quality, tag.strip()))
    return [tag for _, tag in sorted(ranges, key=lambda one: -one[0])]


def _quality(weight: str) -> float:
    name, _, value = weight.partition("=")
    if name.strip() != "q":
        return _HIGHEST
    try:
        return float(value)
    except ValueError:
        return 0.0
