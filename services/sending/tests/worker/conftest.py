from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from postlaw_common.bus import Topic
from postlaw_common.bus.embedded import EmbeddedBus
from postlaw_common.bus.generation import Generations
from postlaw_common.store.embedded import EmbeddedStore
from postlaw_sending.mx import assembly as mx_assembly
from postlaw_sending.stop.holdings import HOLDINGS
from postlaw_sending.stop.wire import CONSENT_EVENTS, JOBS, OUTCOMES, SINGLES, WATERMARKS
from postlaw_sending.worker.ownership import WORKERS
from services.sending.tests.worker.mill import PARTITIONS, Mill


@pytest.fixture
async def mill(tmp_path: Path) -> AsyncGenerator[Mill]:
    bus = EmbeddedBus(str(tmp_path), partitions=PARTITIONS)
    store = EmbeddedStore(str(tmp_path), "sending")
    await bus.start()
    await bus.ensure_topics([Topic(name) for name in (CONSENT_EVENTS, JOBS, SINGLES, WATERMARKS, OUTCOMES)])
    await store.start([HOLDINGS, WORKERS, *mx_assembly.COLLECTIONS])
    mill = Mill(bus, store)
    await mill.holdings.ensure()
    mill.generation = await Generations(bus).begin()
    watching = asyncio.create_task(mill.watermarks.run())
    yield mill
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    await store.close()
    await bus.close()
