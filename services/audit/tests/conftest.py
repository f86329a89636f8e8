from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from postlaw_audit.index import EVENT_INDEX
from postlaw_audit.log_state import LOG
from postlaw_common.bus import Topic
from services.audit.tests.installation import TOPICS, Installation


@pytest.fixture
async def there(tmp_path: Path) -> AsyncGenerator[Installation]:
    made = Installation(tmp_path)
    await made.bus.start()
    await made.bus.ensure_topics([Topic(name) for name in TOPICS])
    await made.store.start([LOG, EVENT_INDEX])
    await made.blobs.start()
    yield made
    await made.store.close()
    await made.bus.close()
    await made.blobs.close()
