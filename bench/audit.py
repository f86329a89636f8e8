"""The audit log alone: events a second from the bus to a signed checkpoint, and how soon after its publish an event is provable."""

from __future__ import annotations

import asyncio
import tempfile
import time
from datetime import datetime
from pathlib import Path

import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.parts import Parts, embedded_parts
from bench.running import Figures, parser, report, say
from postlaw_audit.domain.merkle import leaf_hash, verify_inclusion
from postlaw_audit.index import EVENT_INDEX, EventIndex
from postlaw_audit.log_state import LOG, LogStates
from postlaw_audit.notes import sign, verifier_key
from postlaw_audit.publishing import Publisher
from postlaw_audit.reader import LogReader
from postlaw_audit.sources import BlobFiles
from postlaw_audit.verifying import verify_log
from postlaw_audit.writer import Writer
from postlaw_common.bus import Topic
from postlaw_common.errors import NotFound, Unavailable
from postlaw_common.events import Event, new_event, to_record

TOPIC = "postlaw.consent.events.v1"
ORIGIN = "bench.example/log"
PROOFS = 100


def _unlocked() -> datetime | None:
    return None


def event(number: int) -> Event:
    """300 bytes of data, about what a consent event has."""
    return new_event("bench", b"%0300d" % number, source="bench", subject=f"person{number}", sequence=1, tenant_id="ten_bench")


async def run(parts: Parts, entries: int) -> Figures:
    await parts.start([LOG, EVENT_INDEX], [Topic(TOPIC)])
    index = EventIndex(lambda: parts.store.collection(EVENT_INDEX.name))
    key = Ed25519PrivateKey.generate()
    states = LogStates(lambda: parts.store.collection(LOG.name), "bench")
    publisher = Publisher(parts.blobs, lambda c: sign(c, key), ORIGIN)
    writer = Writer(parts.bus, parts.blobs, states, index, [TOPIC], publisher, _unlocked)
    reader = LogReader(parts.blobs, index)

    async def size() -> int:
        try:
            return (await reader.checkpoint())[0].size
        except Unavailable:
            return 0

    for start in range(0, entries, 5000):
        some = [event(i) for i in range(start, min(entries, start + 5000))]
        await parts.bus.publish([to_record(e, TOPIC, i % parts.bus.partitions) for i, e in enumerate(some)])
    began = time.perf_counter()
    writing = asyncio.create_task(writer.run())
    while await size() < entries:
        await asyncio.sleep(0.02)
    seconds = time.perf_counter() - began
    say(f"{entries} entries in {seconds:.1f} s")
    took = sorted([await provable_after(parts, reader, event(entries + i)) for i in range(PROOFS)])
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    began = time.perf_counter()
    verified = await verify_log(BlobFiles(parts.blobs), verifier_key(ORIGIN, key.public_key().public_bytes_raw()))
    verify_s = time.perf_counter() - began
    await parts.close()
    return {
        "entries": entries,
        "per_second": round(entries / seconds),
        "inclusion_median_ms": round(took[len(took) // 2] * 1000),
        "inclusion_p99_ms": round(took[len(took) * 99 // 100] * 1000),
        "verify_per_second": round(verified.checkpoint.size / verify_s),
    }


async def provable_after(parts: Parts, reader: LogReader, happened: Event) -> float:
    """Seconds from before the publish to a proof that verifies."""
    began = time.perf_counter()
    await parts.bus.publish([to_record(happened, TOPIC, 0)])
    while True:
        try:
            proof = await reader.prove_event(happened.id)
        except NotFound:
            await asyncio.sleep(0.005)
            continue
        verify_inclusion(proof.index, proof.checkpoint.size, leaf_hash(proof.entry), proof.hashes, proof.checkpoint.root)
        return time.perf_counter() - began


def measure(backend: str, entries: int) -> Figures:
    with tempfile.TemporaryDirectory(prefix="postlaw-bench-") as directory:
        if backend == "real":
            from bench.real_mesh import real_parts

            with real_parts(Path(directory)) as parts:
                return uvloop.run(run(parts, entries))
        return uvloop.run(run(embedded_parts(Path(directory), "audit"), entries))


def main(arguments: list[str]) -> int:
    options_of = parser("audit", __doc__ or "")
    options_of.add_argument("--entries", type=int, default=200_000)
    options = options_of.parse_args(arguments)
    return report(options, lambda: measure(options.backend, 10_000 if options.quick else options.entries))
