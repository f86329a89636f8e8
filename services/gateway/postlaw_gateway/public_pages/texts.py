"""The texts of the pages: one file a language, read once. A text is ours and trusted; what is filled in is escaped."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from babel.dates import format_date
from minijinja import escape, safe

from postlaw_gateway.public_pages.languages import LANGUAGES

Say = Callable[..., str]

_FILES = Path(__file__).with_name("texts")
_LOCALES = {"en": "en_GB"}  # English is for the world: the day before the month


def read_texts(language: str) -> Mapping[str, str]:
    """By name."""
    return tomllib.loads((_FILES / f"{language}.toml").read_text(encoding="utf-8"))


TEXTS: Mapping[str, Mapping[str, str]] = {language: read_texts(language) for language in LANGUAGES}


def sayer(language: str) -> Say:
    """say(name, **values): that text as HTML, with the values in its placeholders."""
    texts = TEXTS[language]

    def say(name: str, /, **values: object) -> str:
        return safe(texts[name].format(**{placeholder: escape(value) for placeholder, value in values.items()}))

    return say


def plain_sayer(language: str) -> Say:
    """The same, as plain text."""
    texts = TEXTS[language]
    return lambda name, /, **values: texts[name].format(**values)


def day(language: str, at: datetime) -> str:
    """1 March 2026, as the language writes it."""
    return format_date(at, "long", locale=_LOCALES.get(language, language))
