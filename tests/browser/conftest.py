"""Real Chromium before the real mesh: a person, their own link, and a browser that has scripts turned off."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from postlaw_common.testing.mesh import mesh
from postlaw_mesh.builders import builders
from postlaw_mesh.catcher import Catcher
from postlaw_mesh.dev import relay_on_loopback
from tests.browser.visits import Mailing, customer

PUBLIC_SERVICES = ("identity", "subscribers", "consent", "gateway")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=chromium)
        yield started
        await started.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def mailing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mailing]:
    """A customer with a list, whose stops are confirmed and whose mail is caught."""
    catcher = Catcher()
    made = builders(sending=relay_on_loopback("127.0.0.1", await catcher.start()))
    async with mesh(tmp_path_factory.mktemp("mesh"), [made[name] for name in (*PUBLIC_SERVICES, "sending")]) as m:
        yield await customer(m, catcher)
    await catcher.stop()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def unconfirmed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mailing]:
    """The same without anybody who could confirm a stop: it is recorded."""
    async with mesh(tmp_path_factory.mktemp("mesh"), [builders()[name] for name in PUBLIC_SERVICES]) as m:
        yield await customer(m, Catcher())
