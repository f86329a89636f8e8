"""The audit log: events a second from the bus to a signed checkpoint; how soon after its publish an event is provable, where nothing else
happens and while a campaign sends (inclusion.py); what a proof, a full check and an entry's storage cost.

--written: the log is written at once, with neither bus nor writer, longer than anybody would wait for: then only the last three. A log of
millions takes long to write, and not to be read: with --keep DIR, `--write ENTRIES` writes so many more of them, beside whatever else runs
and as often as it takes, and `--written` reads the one that is there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Generator
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path

import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench import inclusion
from bench.parts import Parts, embedded_parts
from bench.running import Figures, parser, report, say
from bench.written_log import ORIGIN, write_log
from postlaw_audit.domain.merkle import leaf_hash, verify_inclusion
from postlaw_audit.index import EVENT_INDEX, EventIndex
from postlaw_audit.log_state import LOG, LogStates
from postlaw_audit.notes import sign, verifier_key
from postlaw_audit.publishing import Publisher
from postlaw_audit.reader import LogReader
from postlaw_audit.sources import PREFIX, VERIFIER_KEY, BlobFiles
from postlaw_audit.verifying import verify_log
from postlaw_audit.writer import Writer
from postlaw_common.bus import Received, Record, Topic
from postlaw_common.errors import NotFound, Unavailable
from postlaw_common.events import Event, new_event, to_record

TOPIC = "postlaw.consent.events.v1"
PROOFS = 100
BATCH = 4096
ANSWERS = 2000  # events that are asked for at the end, about
ASKED_EVERY = 4096  # of a log that is written piece by piece
WRITTEN = "written.json"  # beside such a log: how far it is, its key, and the events to be asked for


def _unlocked() -> datetime | None:
    return None


def event(number: int) -> Event:
    """300 bytes of data, about what a consent event has."""
    return new_event("bench", b"%0300d" % number, source="bench", subject=f"person{number}", sequence=1, tenant_id="ten_bench")


def raw_size(record: Record) -> int:
    """Bytes of the event and of what stands beside it on the bus."""
    return len(record.value or b"") + sum(len(name) + len(value) for name, value in (record.headers or {}).items())


class Happened:
    """Events of a customer as they are needed, some of whose ids are kept, to be asked for at the end; and their bytes. `every`: of how
    many one is asked for."""

    def __init__(self, entries: int, every: int) -> None:
        self._entries = entries
        self._every = every
        self.begin = 0
        self.asked: list[str] = []
        self.bytes = 0

    def records(self, partitions: int) -> Generator[list[Record]]:
        for start in range(self.begin, self._entries, BATCH):
            some = [event(number) for number in range(start, min(self._entries, start + BATCH))]
            records = [to_record(one, TOPIC, number % partitions) for number, one in enumerate(some)]
            self.asked += [one.id for one in some[:: self._every]]
            self.bytes += sum(map(raw_size, records))
            yield records

    def received(self) -> Generator[list[Received]]:
        """The same as they are read from a bus with one partition."""
        offset = self.begin
        for records in self.records(1):
            now_us = time.time_ns() // 1000
            yield [Received(TOPIC, 0, offset + n, one.value or b"", None, one.headers or {}, now_us) for n, one in enumerate(records)]
            offset += len(records)


async def run(parts: Parts, entries: int, written: bool, kept: Figures | None) -> Figures:
    """`kept`: of a log that stands there already, see `write`; it is read as it is."""
    await parts.start([LOG, EVENT_INDEX], [Topic(TOPIC)])
    index = EventIndex(lambda: parts.store.collection(EVENT_INDEX.name))
    reader = LogReader(parts.blobs, index)
    happened = Happened(entries, max(1, entries // ANSWERS))
    figures: Figures = {}
    if written and kept is not None:
        entries, happened.asked, happened.bytes, verifier = kept["entries"], kept["asked"], kept["bytes"], kept["verifier"]
    elif written:
        verifier = await write_log(parts.blobs, index, happened.received())
    else:
        verifier, figures = await through_the_bus(parts, index, reader, happened, entries)
    say("to be verified")
    began = time.perf_counter()
    verified = await verify_log(BlobFiles(parts.blobs), verifier)
    verify_s = time.perf_counter() - began
    proofs = sorted([await proved_in(reader, id) for id in random.Random(1).sample(happened.asked, len(happened.asked))])
    stored = sum([await parts.blobs.size(key) or 0 async for key in parts.blobs.keys(PREFIX)])
    await parts.close()
    return {
        "entries": entries,
        **figures,
        "verify_per_second": round(verified.checkpoint.size / verify_s),
        "proof_ms_median": round(proofs[len(proofs) // 2] * 1000, 2),
        "proof_ms_p99": round(proofs[len(proofs) * 99 // 100] * 1000, 2),
        "stored_bytes_per_entry": round(stored / verified.checkpoint.size),
        "raw_bytes_per_entry": round(happened.bytes / entries),
    }


async def write(parts: Parts, more: int, kept: Figures) -> Figures:
    """So many entries more, of a log whose size, key and questions `kept` holds; then what is to be kept."""
    await parts.start([LOG, EVENT_INDEX], [Topic(TOPIC)])
    index = EventIndex(lambda: parts.store.collection(EVENT_INDEX.name))
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(kept["key"])) if "key" in kept else Ed25519PrivateKey.generate()
    size = kept["entries"]
    happened = Happened(size + more, ASKED_EVERY)
    happened.begin = size
    verifier = await write_log(parts.blobs, index, happened.received(), size=size, key=key)
    await parts.close()
    return {
        "entries": size + more,
        "asked": kept["asked"] + happened.asked,
        "bytes": kept["bytes"] + happened.bytes,
        "key": key.private_bytes_raw().hex(),
        "verifier": verifier,
    }


async def through_the_bus(parts: Parts, index: EventIndex, reader: LogReader, happened: Happened, entries: int) -> tuple[str, Figures]:
    """The key that verifies the log, and how soon everything was in it."""
    key = Ed25519PrivateKey.generate()
    verifier = verifier_key(ORIGIN, key.public_key().public_bytes_raw())
    await parts.blobs.put(PREFIX + VERIFIER_KEY, verifier.encode())
    states = LogStates(lambda: parts.store.collection(LOG.name), "bench")
    publisher = Publisher(parts.blobs, lambda c: sign(c, key), ORIGIN)
    writer = Writer(parts.bus, parts.blobs, states, index, [TOPIC], publisher, _unlocked)

    async def size() -> int:
        try:
            return (await reader.checkpoint())[0].size
        except Unavailable:
            return 0

    for records in happened.records(parts.bus.partitions):
        await parts.bus.publish(records)
    began, worked = time.perf_counter(), time.process_time()
    writing = asyncio.create_task(writer.run())
    while await size() < entries:
        await asyncio.sleep(0.02)
    seconds, worked = time.perf_counter() - began, time.process_time() - worked
    say(f"{entries} entries in {seconds:.1f} s")
    took = sorted([await provable_after(parts, reader, event(entries + i)) for i in range(PROOFS)])
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    return verifier, {
        "per_second": round(entries / seconds),
        "processor_us": round(worked / entries * 1e6, 1),
        "quiet_inclusion_median_ms": round(took[len(took) // 2] * 1000),
        "quiet_inclusion_p99_ms": round(took[len(took) * 99 // 100] * 1000),
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


def measure(options: argparse.Namespace) -> Figures:
    there = options.keep / WRITTEN if options.keep else None
    kept = json.loads(there.read_text()) if there and there.exists() else None
    if options.write:
        began = time.perf_counter()
        options.keep.mkdir(parents=True, exist_ok=True)
        none: Figures = {"entries": 0, "asked": [], "bytes": 0}
        kept = uvloop.run(write(embedded_parts(options.keep, "audit"), options.write, kept or none))
        (options.keep / WRITTEN).write_text(json.dumps(kept))
        return {"entries": kept["entries"], "written_per_second": round(options.write / (time.perf_counter() - began))}
    entries, recipients = (10_000, min(1000, options.recipients)) if options.quick else (options.entries, options.recipients)
    with nullcontext(options.keep) if options.keep else tempfile.TemporaryDirectory(prefix="postlaw-bench-") as directory:
        if options.backend == "real":
            from bench.real_mesh import real_parts

            with real_parts(Path(directory)) as parts:
                figures = uvloop.run(run(parts, entries, options.written, None))
        else:
            figures = uvloop.run(run(embedded_parts(Path(directory), "audit"), entries, options.written, kept))
    return figures if options.written or not recipients else {**figures, **inclusion.measure(options.backend, recipients)}


def main(arguments: list[str]) -> int:
    options_of = parser("audit", __doc__ or "")
    options_of.add_argument("--entries", type=int, default=200_000)
    options_of.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="a folder, empty unless --write has filled it, that keeps what is made, for other programs to read",
    )
    options_of.add_argument("--written", action="store_true", help="a log that is written at once: what a proof and a full check take")
    options_of.add_argument("--recipients", type=int, default=50_000, help="of the campaign that sends meanwhile; 0: none")
    options_of.add_argument(
        "--write", type=int, metavar="ENTRIES", help=f"only write so many more into --keep's log: a multiple of {BATCH}"
    )
    options = options_of.parse_args(arguments)
    if options.write and (options.keep is None or options.write % BATCH or options.backend != "embedded"):
        options_of.error(f"--write takes a multiple of {BATCH}, --keep DIR and the embedded backend")
    return report(options, lambda: measure(options))
