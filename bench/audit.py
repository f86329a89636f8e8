"""The audit log alone: events a second from the bus to a signed checkpoint, how soon after its publish an event is provable, and what a
proof, a full check and an entry's storage cost."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from contextlib import nullcontext
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
from postlaw_audit.sources import PREFIX, VERIFIER_KEY, BlobFiles
from postlaw_audit.verifying import verify_log
from postlaw_audit.writer import Writer
from postlaw_common.bus import Record, Topic
from postlaw_common.errors import NotFound, Unavailable
from postlaw_common.events import Event, new_event, to_record

TOPIC = "postlaw.consent.events.v1"
ORIGIN = "bench.example/log"
PROOFS = 100
ANSWERS = 2000  # events that are asked for at the end, about


def _unlocked() -> datetime | None:
    return None


def event(number: int) -> Event:
    """300 bytes of data, about what a consent event has."""
    return new_event("bench", b"%0300d" % number, source="bench", subject=f"person{number}", sequence=1, tenant_id="ten_bench")


def raw_size(record: Record) -> int:
    """Bytes of the event and of what stands beside it on the bus."""
    return len(record.value or b"") + sum(len(name) + len(value) for name, value in (record.headers or {}).items())


async def run(parts: Parts, entries: int) -> Figures:
    await parts.start([LOG, EVENT_INDEX], [Topic(TOPIC)])
    index = EventIndex(lambda: parts.store.collection(EVENT_INDEX.name))
    key = Ed25519PrivateKey.generate()
    verifier = verifier_key(ORIGIN, key.public_key().public_bytes_raw())
    await parts.blobs.put(PREFIX + VERIFIER_KEY, verifier.encode())
    states = LogStates(lambda: parts.store.collection(LOG.name), "bench")
    publisher = Publisher(parts.blobs, lambda c: sign(c, key), ORIGIN)
    writer = Writer(parts.bus, parts.blobs, states, index, [TOPIC], publisher, _unlocked)
    reader = LogReader(parts.blobs, index)

    async def size() -> int:
        try:
            return (await reader.checkpoint())[0].size
        except Unavailable:
            return 0

    asked, raw = list[str](), 0
    for start in range(0, entries, 5000):
        some = [event(i) for i in range(start, min(entries, start + 5000))]
        records = [to_record(e, TOPIC, i % parts.bus.partitions) for i, e in enumerate(some)]
        asked += [e.id for e in some[:: max(1, entries // ANSWERS)]]
        raw += sum(map(raw_size, records))
        await parts.bus.publish(records)
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
    verified = await verify_log(BlobFiles(parts.blobs), verifier)
    verify_s = time.perf_counter() - began
    proofs = sorted([await proved_in(reader, id) for id in random.Random(1).sample(asked, len(asked))])
    stored = sum([await parts.blobs.size(key) or 0 async for key in parts.blobs.keys(PREFIX)])
    await parts.close()
    return {
        "entries": entries,
        "per_second": round(entries / seconds),
        "inclusion_median_ms": round(took[len(took) // 2] * 1000),
        "inclusion_p99_ms": round(took[len(took) * 99 // 100] * 1000),
        "verify_per_second": round(verified.checkpoint.size / verify_s),
        "proof_ms_median": round(proofs[len(proofs) // 2] * 1000, 2),
        "proof_ms_p99": round(proofs[len(proofs) * 99 // 100] * 1000, 2),
        "stored_bytes_per_entry": round(stored / verified.checkpoint.size),
        "raw_bytes_per_entry": round(raw / entries),
    }


async def proved_in(reader: LogReader, event_id: str) -> float:
    """Seconds until the proof of an event is there."""
    began = time.perf_counter()
    await reader.prove_event(event_id)
    return time.perf_counter() - began


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


def measure(backend: str, entries: int, keep: Path | None) -> Figures:
    with nullcontext(keep) if keep else tempfile.TemporaryDirectory(prefix="postlaw-bench-") as directory:
        if backend == "real":
            from bench.real_mesh import real_parts

            with real_parts(Path(directory)) as parts:
                return uvloop.run(run(parts, entries))
        return uvloop.run(run(embedded_parts(Path(directory), "audit"), entries))


def main(arguments: list[str]) -> int:
    options_of = parser("audit", __doc__ or "")
    options_of.add_argument("--entries", type=int, default=200_000)
    options_of.add_argument("--keep", type=Path, metavar="DIR", help="an empty folder that keeps what is made, for other programs to read")
    options = options_of.parse_args(arguments)
    return report(options, lambda: measure(options.backend, 10_000 if options.quick else options.entries, options.keep))
