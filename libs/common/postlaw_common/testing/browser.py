"""Where this machine has Chromium, for tests that look at pages as people see them. It is a program of the machine's, never fetched."""

from __future__ import annotations

import os
import shutil
from functools import cache

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_SETTING = "POSTLAW_TEST_CHROMIUM"


@cache
def chromium() -> str:
    """The program; empty where there is none."""
    if setting := os.environ.get(_SETTING):
        return shutil.which(setting) or ""
    return next((found for name in _NAMES if (found := shutil.which(name))), "")


def header() -> str:
    return f"browser: {chromium() or f'left out: no Chromium (apt-get install chromium, or {_SETTING}=its path)'}"
