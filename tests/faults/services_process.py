"""Some services in one process, on what the environment says: `python services_process.py identity subscribers`.

`FAULTS_DIE_UNNOTED=4`: the gateway notes no answer under an Idempotency-Key, and is killed when it is about to note the fourth. Its
claims then end within two seconds instead of a minute, in this process and in the next one that is told a number (0: no death).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from postlaw_common.runner import run_process
from postlaw_gateway import idempotency
from postlaw_mesh.builders import builders


def die_unnoted(number: int) -> None:
    idempotency.LEASE_US = 2_000_000
    waiting: list[Any] = []

    async def not_kept(*answer: Any) -> None:
        waiting.append(answer)
        if len(waiting) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.Event().wait()

    if number:
        idempotency.IdempotencyKeys.keep = not_kept


if __name__ == "__main__":
    if number := os.environ.get("FAULTS_DIE_UNNOTED"):
        die_unnoted(int(number))
    made = builders()
    sys.exit(run_process("postlaw-" + "-".join(sys.argv[1:]), [made[name] for name in sys.argv[1:]]))
