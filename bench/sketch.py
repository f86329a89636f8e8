"""The stop without a product around it: what Kafka, Python and these cores allow at all. The measure of the product's own answers.

    python -m bench.sketch BOOTSTRAP SINK_HOST SINK_PORT RECIPIENTS OPT_OUTS

Two workers with ten pipelined connections each send jobs that stand in Kafka, and look right before each MAIL whether the person has said
stop; whoever says stop is answered once the worker that sends to them has heard it. Nothing is sealed, noted, claimed or signed, nobody
owns anything. Prints one JSON object: opt-outs answered, `median_ms`, `p99_ms`. The sink's records say how fast it sent.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import sys
import time
import zlib
from collections import deque
from typing import Any

import minijinja
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

PARTITIONS, WORKERS, CONNECTIONS, DEPTH, BATCH = 12, 2, 10, 4, 200
APART_S = 0.01  # between two opt-outs
IDLE_S = 3.0  # a worker without jobs for so long ends
HTML = "<p>Hello {{ name }} from {{ city }}</p>" + "<p>Lorem ipsum dolor sit amet, consectetur adipiscing</p>\r\n" * 77


def address(number: int) -> str:
    return f"sketch{number}@example.com"


def place(who: str) -> int:
    return zlib.crc32(who.encode()) % PARTITIONS


def topics(run: str) -> tuple[str, str, str]:
    """Of consent, jobs and watermarks."""
    return f"sketch-{run}-consent", f"sketch-{run}-jobs", f"sketch-{run}-marks"


async def write_jobs(bootstrap: str, run: str, recipients: int) -> None:
    """Batches of people of one partition, so that whoever sends to them also hears them."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in topics(run)])
    await admin.close()
    people: list[list[tuple[str, str, str]]] = [[] for _ in range(PARTITIONS)]
    for number in range(recipients):
        people[place(address(number))].append((address(number), f"User {number}", "Paris"))
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for partition, rows in enumerate(people):
            for first in range(0, len(rows), BATCH):
                await producer.send(topics(run)[1], json.dumps(rows[first : first + BATCH]).encode(), partition=partition)


class SketchedWorker:
    """Sends the jobs of its partitions, and says how far it has heard those who say stop."""

    def __init__(self, number: int, bootstrap: str, run: str, sink: tuple[str, int]) -> None:
        self._mine = [partition for partition in range(PARTITIONS) if partition % WORKERS == number]
        self._bootstrap, self._sink = bootstrap, sink
        self._consent, self._jobs, self._marks = topics(run)
        self._template = minijinja.Environment(templates={"html": HTML})
        self._stopped: set[str] = set()
        self._under_way: dict[str, asyncio.Future[None]] = {}
        self._batches: asyncio.Queue[list[list[str]]] = asyncio.Queue(2 * CONNECTIONS)
        self._busy = time.monotonic()

    async def run(self) -> None:
        loops = [asyncio.create_task(loop) for loop in (self._hear(), self._feed(), *(self._send() for _ in range(CONNECTIONS)))]
        while time.monotonic() - self._busy < IDLE_S:
            await asyncio.wait(loops, timeout=0.2, return_when=asyncio.FIRST_EXCEPTION)
            for loop in loops:
                if loop.done():
                    loop.result()
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)

    def _assigned(self, topic: str) -> Any:
        consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, auto_offset_reset="earliest")
        consumer.assign([TopicPartition(topic, partition) for partition in self._mine])
        return consumer

    async def _hear(self) -> None:
        async with self._assigned(self._consent) as heard, AIOKafkaProducer(bootstrap_servers=self._bootstrap) as marks:
            while True:
                for where, records in (await heard.getmany(timeout_ms=1000)).items():
                    said = [record.value.decode() for record in records]
                    self._stopped.update(said)
                    await asyncio.gather(*(self._under_way[who] for who in said if who in self._under_way))
                    await marks.send(self._marks, b"%d" % records[-1].offset, partition=where.partition)

    async def _feed(self) -> None:
        async with self._assigned(self._jobs) as jobs:
            while True:
                for records in (await jobs.getmany(timeout_ms=1000, max_records=4)).values():
                    for record in records:
                        await self._batches.put(json.loads(record.value))

    async def _send(self) -> None:
        reader, writer = await asyncio.open_connection(*self._sink)
        await reader.readline()
        writer.write(b"EHLO sketch\r\n")
        while not (await reader.readline()).startswith(b"250 "):
            pass
        window: deque[str] = deque()

        async def answered_down_to(depth: int) -> None:
            while len(window) > depth:
                for _ in range(3):
                    await reader.readline()
                self._under_way.pop(window.popleft()).set_result(None)

        while True:
            if self._batches.empty():
                await answered_down_to(0)
            for who, name, city in await self._batches.get():
                html = self._template.render_template("html", name=name, city=city)
                message = f"From: a <a@example.org>\r\nTo: {who}\r\nSubject: Hello {name}\r\n\r\n{html}".encode()
                if who in self._stopped:  # no await from here to the write
                    continue
                self._under_way[who] = asyncio.get_running_loop().create_future()
                window.append(who)
                writer.write(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<%b>\r\nBDAT %d LAST\r\n%b" % (who.encode(), len(message), message))
                await answered_down_to(DEPTH)
            self._busy = time.monotonic()


async def say_stop(bootstrap: str, run: str, recipients: int, opt_outs: int) -> list[float]:
    """Seconds that each answer took."""
    consent, _, marks_topic = topics(run)
    applied = [-1] * PARTITIONS
    moved = asyncio.Condition()
    took: list[float] = []
    marks = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    marks.assign([TopicPartition(marks_topic, partition) for partition in range(PARTITIONS)])
    async with marks, AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as ledger:

        async def watch() -> None:
            while True:
                for where, records in (await marks.getmany(timeout_ms=1000)).items():
                    applied[where.partition] = max(applied[where.partition], *(int(record.value or 0) for record in records))
                async with moved:
                    moved.notify_all()

        async def stop(who: str) -> None:
            began, partition = time.perf_counter(), place(who)
            at = (await ledger.send_and_wait(consent, who.encode(), partition=partition)).offset
            async with moved:
                await moved.wait_for(lambda: applied[partition] >= at)
            took.append(time.perf_counter() - began)

        watching = asyncio.create_task(watch())
        asked: list[asyncio.Task[None]] = []
        for number in random.Random(7).sample(range(recipients), opt_outs):
            asked.append(asyncio.create_task(stop(address(number))))
            await asyncio.sleep(APART_S)
        await asyncio.wait(asked, timeout=10)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    return took


def _work(number: int, bootstrap: str, run: str, sink: tuple[str, int]) -> None:
    uvloop.run(SketchedWorker(number, bootstrap, run, sink).run())


def main(bootstrap: str, host: str, port: str, recipients: str, opt_outs: str) -> None:
    run = str(time.time_ns())
    uvloop.run(write_jobs(bootstrap, run, int(recipients)))
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_work, args=(number, bootstrap, run, (host, int(port)))) for number in range(WORKERS)]
    for worker in workers:
        worker.start()
    time.sleep(1.5)  # they begin to send
    took = sorted(uvloop.run(say_stop(bootstrap, run, int(recipients), int(opt_outs))))
    for worker in workers:
        worker.join()
    median, p99 = (round(took[len(took) * share // 100] * 1000, 1) for share in (50, 99))
    print(json.dumps({"opt_outs": len(took), "median_ms": median, "p99_ms": p99}))


if __name__ == "__main__":
    main(*sys.argv[1:])
