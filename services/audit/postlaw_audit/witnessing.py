"""Witnesses outside cosign the log's checkpoints (C2SP tlog-witness), so that its operator cannot show another log to others.

Every few seconds the newest checkpoint goes to each witness, with the proof that it continues what that one cosigned before. Nothing waits
for a witness: what is signed but not cosigned yet is published all the same, and said to be unwitnessed.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable

from postlaw_audit.log_state import WriterOvertaken
from postlaw_audit.notes import Checkpoint, parse_note, signature_line
from postlaw_audit.publishing import Publisher
from postlaw_audit.witness_policy import Policy, Witness, cosigned_by
from postlaw_common.blobs import BlobsUnavailable
from postlaw_common.errors import PostlawError
from postlaw_common.http_client import httpx
from postlaw_common.store import StoreUnavailable
from postlaw_common.telemetry import get_logger, meter
from postlaw_common.telemetry.gauges import Gauge

log = get_logger("audit.witnessing")
_age = Gauge("postlaw.audit.witnessed.age", "s", "Seconds since the witnesses' quorum last covered the published checkpoint", max)
_ahead = meter("postlaw.audit").create_counter(
    "postlaw.audit.witness.contradicted", unit="{answer}", description="Answers of witnesses that have seen a longer log, or another one"
)

WITHIN_S = 10.0  # of all that is asked of one witness in a round: one that sends a byte a second must not hold up the others
LARGEST = 1 << 16  # bytes of an answer
_TRIES = 3  # the first guess of what a witness has seen, its own word, and once more where another of us came between

Prove = Callable[[int, int], Awaitable[list[bytes]]]


class NotCosigned(Exception):
    """The witness has not cosigned. The message says why, in one line."""


class Witnessing:
    """`prove` gives the consistency proof between two sizes. `policy` is set before `run`."""

    def __init__(self, publisher: Publisher, prove: Prove, *, every_s: float, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.publisher = publisher
        self._prove = prove
        self._every_s = every_s
        self._transport = transport
        self._seen: dict[str, int] = {}  # by witness: the size that it cosigned last
        self._covered_at = 0.0  # monotonic
        self.policy = Policy()

    async def run(self, still_owned: Callable[[], Awaitable[None]]) -> None:
        """For as long as this process owns the log; returns at once where no witness is to be asked."""
        if not any(witness.url for witness in self.policy.witnesses.values()):
            return
        self._covered_at = time.monotonic()
        async with httpx.AsyncClient(timeout=WITHIN_S, transport=self._transport) as client:
            with _age.shows(lambda: time.monotonic() - self._covered_at):
                while True:
                    try:
                        await self.once(client, still_owned)
                    except WriterOvertaken:
                        return
                    except (PostlawError, BlobsUnavailable, StoreUnavailable) as away:
                        log.warning("audit_witnessing_waits", error=str(away))
                    except Exception as fault:  # nobody would see that this has ended, and with it the figure that alerts look at
                        log.error("audit_witnessing_failed", exc_info=fault)
                    await asyncio.sleep(self._every_s)

    async def once(self, client: httpx.AsyncClient, still_owned: Callable[[], Awaitable[None]]) -> None:
        """Asks for what the newest checkpoint lacks. Raises what `still_owned` raises."""
        newest = self.publisher.newest
        if newest is None:
            return
        checkpoint, note = newest
        have = cosigned_by(parse_note(note), self.policy)
        asked = [witness for witness in self.policy.witnesses.values() if witness.url and witness.name not in have]
        lines, enough = "", self.policy.satisfied(have)
        asking = [asyncio.create_task(self._asked(client, witness, checkpoint, note)) for witness in asked]
        try:
            for answered in asyncio.as_completed(asking):  # none waits for a slower one
                if line := await answered:
                    lines += line
                    enough = self.policy.satisfied(cosigned_by(parse_note(note + lines), self.policy))
                    await still_owned()
                    await self.publisher.join(checkpoint, note + lines, enough=enough)
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        if enough:
            self._covered_at = time.monotonic()

    async def _asked(self, client: httpx.AsyncClient, witness: Witness, checkpoint: Checkpoint, note: str) -> str:
        """The witness's line below the note; empty where it gives none now."""
        try:
            async with asyncio.timeout(WITHIN_S):
                return await self._cosigned(client, witness, checkpoint, note)
        except Exception as refused:  # what a stranger's answer can do is not to be listed, and is that stranger's alone
            log.warning("audit_witness_did_not_cosign", witness=witness.name, size=checkpoint.size, reason=str(refused) or repr(refused))
            return ""

    async def _cosigned(self, client: httpx.AsyncClient, witness: Witness, checkpoint: Checkpoint, note: str) -> str:
        for _ in range(_TRIES):
            old = min(self._seen.get(witness.name, 0), checkpoint.size)
            proof = await self._prove(old, checkpoint.size) if 0 < old < checkpoint.size else []
            steps = "".join(f"{base64.b64encode(step).decode()}\n" for step in proof)
            status, answer = await _posted(client, f"{witness.url.rstrip('/')}/add-checkpoint", f"old {old}\n{steps}\n{note}".encode())
            if status == 200:
                line = _line(answer, witness, note)
                self._seen[witness.name] = checkpoint.size
                return line
            if status != 409:
                if status == 422:
                    _ahead.add(1)
                raise NotCosigned(f"it answers {status}{_MEANINGS.get(status, '')}")
            seen = answer.strip()
            if not seen.isdecimal() or len(seen) > 18:
                raise NotCosigned("it answers 409 without the size that it has seen")
            self._seen[witness.name] = int(seen)
            if int(seen) > checkpoint.size:
                _ahead.add(1)
                raise NotCosigned(f"it has cosigned {seen} entries already: the log was cut back, or another writer is ahead")
        raise NotCosigned("it keeps naming other sizes")


_MEANINGS = {
    403: ": it does not know the log's key",
    404: ": it does not know this log",
    422: ": to it, the log does not continue what it has cosigned before",
}


async def _posted(client: httpx.AsyncClient, url: str, content: bytes) -> tuple[int, str]:
    """Status and text, whatever the answer says of its length, encoding or packing. Raises NotCosigned where that is no short UTF-8."""
    async with client.stream("POST", url, content=content, headers={"accept-encoding": "identity"}) as answer:
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise NotCosigned(f"it answers {answer.status_code} packed, which it was asked not to")
        data = bytearray()
        async for piece in answer.aiter_bytes():
            data += piece
            if len(data) > LARGEST:
                raise NotCosigned(f"it answers {answer.status_code} with more than {LARGEST} bytes")
    try:
        return answer.status_code, data.decode()
    except UnicodeDecodeError as wrong:
        raise NotCosigned(f"it answers {answer.status_code} with what is not UTF-8") from wrong


def _line(answer: str, witness: Witness, note: str) -> str:
    """Of what it answered, its own cosignature of the note, as a line. Raises NotCosigned, NoteInvalid."""
    text = parse_note(note).text
    signed = parse_note(f"{text}\n{answer}")
    if signed.text != text:
        raise NotCosigned("it answers with a text of its own")
    only = Policy({witness.name: witness}, {}, witness.name)
    if not only.satisfied(cosigned_by(signed, only)):
        raise NotCosigned("its answer has no cosignature by the key that the policy names")
    raw = signed.of(witness.key_name, witness.hash)
    assert raw is not None
    return signature_line(witness.key_name, witness.hash, raw)
