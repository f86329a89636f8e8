from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from postlaw_audit.index import EVENT_INDEX
from postlaw_audit.log_state import LOG
from services.audit.tests.installation import Installation


@pytest.fixture
async def there(tmp_path: Path) -> AsyncGenerator[Installation]:
    made = Installation(tmp_path)
    await made.start_bus()
    await made.store.start([LOG, EVENT_INDEX])
    await made.blobs.start()
    yield made
    await made.store.close()
    await made.bus.close()
    await made.blobs.close()
