"""Some services in one process, on what the environment says: `python services_process.py identity subscribers`.

`FAULTS_DIE_UNNOTED=4`: the gateway notes no answer under an Idempotency-Key, and is killed when it is about to note the fourth. Its
claims then end within two seconds instead of a minute, in this process and in the next one that is told a number (0: no death).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from postlaw_common.caller import Caller
from postlaw_common.runner import run_process
from postlaw_gateway import idempotency
from postlaw_gateway.answers import Answer
from postlaw_gateway.idempotency import Claim, IdempotencyKeys
from postlaw_mesh.builders import builders


def die_unnoted(number: int) -> None:
    idempotency.LEASE_US = 2_000_000
    left = number

    async def not_kept(self: IdempotencyKeys, caller: Caller, claim: Claim, answer: Answer) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.Event().wait()

    if number:
        IdempotencyKeys.keep = not_kept


if __name__ == "__main__":
    if number := os.environ.get("FAULTS_DIE_UNNOTED"):
        die_unnoted(int(number))
    made = builders()
    sys.exit(run_process("postlaw-" + "-".join(sys.argv[1:]), [made[name] for name in sys.argv[1:]]))
