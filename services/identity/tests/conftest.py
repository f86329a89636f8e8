"""Identity in a mesh of its own, for each test that asks for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from .identity_in_a_mesh import Identity, started


@pytest.fixture
async def identity(tmp_path: Path) -> AsyncGenerator[Identity]:
    async with started(tmp_path) as identity:
        yield identity
