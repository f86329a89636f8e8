"""`@promise("M6")` marks the test that proves a promise of requirements.md; `docs/compliance.md` is generated from these marks."""

from __future__ import annotations

import pytest


def promise(*ids: str) -> pytest.MarkDecorator:
    return pytest.mark.promise(*ids)
