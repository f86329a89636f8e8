"""What the bus on Kafka keeps to beyond every bus's contract: outages, settings, its URL."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from contextlib import suppress
from itertools import chain
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.consumer.fetcher import Fetcher

from postlaw_common.bus import BusUnavailable, Record, Topic, TopicMismatch
from postlaw_common.bus.generation import GENERATIONS, Generations
from postlaw_common.bus.kafka import KafkaBus
from postlaw_common.bus.kafka_connection import parse
from postlaw_common.bus.kafka_readers import FRESH, KafkaReader
from postlaw_common.testing.backing.kafka import LocalKafka
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise


async def test_a_dead_broker_is_told_from_a_quiet_one_and_its_return_is_noticed(local_kafka: Callable[[], LocalKafka]) -> None:
    broker = await asyncio.to_thread(local_kafka)
    bus = KafkaBus(broker.url, partitions=2)
    await bus.start()
    await bus.ensure_topics([Topic("t")])
    reader, ends, member = await bus.reader(), await bus.end_offset_client(), await bus.group("g", ["t"])
    await reader.assign({("t", 0): 0, ("t", 1): 0})
    await bus.publish([Record("t", 0, b"before")])
    for asker in (reader, member):
        assert [r.value for r in await asker.read(timeout=30)] == [b"before"]
    assert await reader.read(timeout=3) == []  # quiet, and known to be

    await asyncio.to_thread(broker.kill)
    asks = [reader.read(timeout=60), member.read(timeout=60), ends.end_offsets([("t", 0)]), bus.publish([Record("t", 0, b"during")])]
    async with asyncio.timeout(30):  # the reads do not wait their time out
        answers = await asyncio.gather(*asks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [BusUnavailable] * 4

    await asyncio.to_thread(broker.start)
    found: list[bytes] = []
    async with asyncio.timeout(60):
        await publish_when_it_is_back(bus, Record("t", 1, b"after"))
        while b"after" not in found:
            try:
                found += [record.value for record in await reader.read()]
            except BusUnavailable:
                await asyncio.sleep(0.1)
    assert b"before" not in found
    assert (await ends.end_offsets([("t", 1)]))["t", 1] >= 1
    for client in (reader, ends, member, bus):
        await client.close()


@promise("S8")
async def test_a_look_back_at_what_retention_took_finds_what_is_left_and_comes_to_an_end(kafka_url: str) -> None:
    name = f"postlaw.test.{uuid.uuid4().hex}.v1"
    bus = KafkaBus(kafka_url, partitions=1)
    await bus.start()
    await bus.ensure_topics([Topic(name)])
    await bus.publish([Record(name, 0, b"%d" % n) for n in range(7)])
    admin = AIOKafkaAdminClient(**parse(kafka_url, "test").options)
    await admin.start()
    for before, left in ((3, [b"3", b"4"]), (7, [])):
        await admin.delete_records({TopicPartition(name, 0): RecordsToDelete(before_offset=before)})
        async with patience():
            assert [record.value for record in await bus.read_range(name, 0, 0, 5)] == left
    await admin.close()
    await bus.close()


async def test_a_reader_takes_another_assignment_and_is_closed_while_its_broker_is_gone(local_kafka: Callable[[], LocalKafka]) -> None:
    broker = await asyncio.to_thread(local_kafka)
    bus = KafkaBus(broker.url, partitions=2)
    await bus.start()
    await bus.ensure_topics([Topic("postlaw.gone.v1")])
    lasting, brief = await bus.reader(), await bus.reader()
    for reader in (lasting, brief):
        await reader.assign({("postlaw.gone.v1", 0): 0})
        assert await reader.read(timeout=0.1) == []
    await asyncio.to_thread(broker.kill)
    await asyncio.sleep(0.5)  # their fetches fail, and wait to be tried again
    await lasting.assign({("postlaw.gone.v1", 0): 0, ("postlaw.gone.v1", 1): 0})
    await brief.close()
    await asyncio.to_thread(broker.start)
    await publish_when_it_is_back(bus, Record("postlaw.gone.v1", 1, b"later"))
    async with asyncio.timeout(30):
        found: list[bytes] = []
        while not found:
            with suppress(BusUnavailable):
                found = [record.value for record in await lasting.read(timeout=0.5)]
    assert found == [b"later"]
    await lasting.close()
    await bus.close()


async def publish_when_it_is_back(bus: KafkaBus, record: Record) -> None:
    while True:
        try:
            await bus.publish([record])
            return
        except BusUnavailable:
            await asyncio.sleep(0.1)


async def test_a_topic_with_weaker_settings_is_refused_with_the_command_that_mends_it(kafka_url: str) -> None:
    name = f"postlaw.settings.{uuid.uuid4().hex}.v1"
    bus = KafkaBus(kafka_url, partitions=2)
    await bus.start()
    await bus.ensure_topics([Topic(name, retention_days=3)])
    await bus.ensure_topics([Topic(name, retention_days=2)])  # kept for longer than needed: fine
    with pytest.raises(TopicMismatch, match=rf"{name} has retention.ms=259200000.*--add-config retention.ms=2592000000"):
        await bus.ensure_topics([Topic(name, retention_days=30)])
    three = KafkaBus(kafka_url.replace("replication=1", "replication=3"), partitions=2)
    await three.start()
    with pytest.raises(TopicMismatch, match="keeps 1 replicas, this installation needs 3"):
        await three.ensure_topics([Topic(name, retention_days=3)])
    await three.close()
    await bus.close()


async def test_no_broker_at_all_is_one_clear_line() -> None:
    bus = KafkaBus("kafka://127.0.0.1:1", partitions=2)
    with pytest.raises(BusUnavailable, match=r"connecting: Kafka at 127\.0\.0\.1:1 does not answer") as refused:
        await bus.start()
    assert "\n" not in str(refused.value)


async def test_an_unhurried_reader_gathers_what_comes_steadily(kafka_url: str) -> None:
    bus = KafkaBus(kafka_url, partitions=2)
    await bus.start()
    topic = f"postlaw.steady.{uuid.uuid4().hex}.v1"
    await bus.ensure_topics([Topic(topic)])
    readers = await bus.reader(), await bus.reader(unhurried=True)
    reads: list[list[list[bytes]]] = [[], []]

    async def read(reader: KafkaReader, into: list[list[bytes]]) -> None:
        await reader.assign({(topic, 0): 0, (topic, 1): 0})
        while sum(map(len, into)) < len(values):
            if found := await reader.read():
                into.append([record.value for record in found])

    values = [b"%d" % number for number in range(60)]
    async with asyncio.TaskGroup() as group:
        for reader, into in zip(readers, reads, strict=True):
            group.create_task(read(reader, into))
        for value in values:
            await bus.publish([Record(topic, int(value) % 2, value)])
    at_once, gathered = reads
    assert sorted(chain.from_iterable(at_once)) == sorted(chain.from_iterable(gathered)) == sorted(values)
    assert len(gathered) * 2 <= len(at_once)
    for client in (*readers, bus):
        await client.close()


async def test_a_standing_reader_asks_for_all_of_its_partitions_or_for_none(kafka_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it asked for the rest alone, what came for the others would be read only once that question is answered."""
    bus = KafkaBus(kafka_url, partitions=2)
    await bus.start()
    topic = f"postlaw.standing.{uuid.uuid4().hex}.v1"
    await bus.ensure_topics([Topic(topic)])
    asked: dict[int, list[int]] = {}
    fetch: Any = vars(Fetcher)["_proc_fetch_request"]

    async def note(self: Fetcher, assignment: object, node: int, request: Any) -> bool:
        asked.setdefault(id(self), []).extend(len(partitions) for name, partitions in request.topics if name == topic)
        return await fetch(self, assignment, node, request)

    monkeypatch.setattr(Fetcher, "_proc_fetch_request", note)
    seen: list[list[int]] = []
    for standing in (False, True):
        await bus.publish([Record(topic, 0, b"one"), Record(topic, 0, b"two")])
        reader = await bus.reader(standing=standing)
        await reader.assign({(topic, 0): 0, (topic, 1): 0})
        asked.clear()
        assert len(await reader.read(max_records=1)) == 1
        await asyncio.sleep(0.3)  # aiokafka waits a tenth of a second for whoever takes the second
        assert len(await reader.read(max_records=1)) == 1
        [partitions] = asked.values()
        seen.append(partitions)
        await reader.close()
    prompt, standing = seen
    assert 1 in prompt
    assert set(standing) == {2}
    await bus.close()


async def test_one_partition_stands_for_all_that_its_leader_has_and_an_answer_for_a_moment(kafka_url: str) -> None:
    bus = KafkaBus(kafka_url, partitions=2)
    await bus.start()
    topic = f"postlaw.led.{uuid.uuid4().hex}.v1"
    await bus.ensure_topics([Topic(topic)])
    ends = await bus.end_offset_client()
    both, unheard = [TopicPartition(topic, 0), TopicPartition(topic, 1)], TopicPartition("unheard.of", 0)
    now = asyncio.get_running_loop().time()
    assert ends.to_ask(both, now) == ({}, [(topic, 0), (topic, 1)])  # nobody's, as far as this client knows yet
    await ends.end_offsets([(topic, 0), (topic, 1)])
    led, unknown = ends.to_ask([*both, unheard], now)
    assert list(led.values()) == [(topic, 0)]
    assert unknown == [("unheard.of", 0)]
    await ends.answer(both)
    asked_at = asyncio.get_running_loop().time()
    assert ends.to_ask([*both, unheard], now + FRESH / 2) == ({}, [("unheard.of", 0)])
    assert ends.to_ask([*both, unheard], asked_at + FRESH) == (led, unknown)
    await ends.close()
    await bus.close()


async def test_a_header_without_a_value_is_read_as_an_empty_one(kafka_url: str) -> None:
    bus = KafkaBus(kafka_url, partitions=1)
    await bus.start()
    topic = f"postlaw.contract.{uuid.uuid4().hex}.v1"
    await bus.ensure_topics([Topic(topic)])
    nothing: Any = None  # Kafka's own clients may send that
    await bus.publish([Record(topic, 0, b"x", headers={"ce_id": nothing, "ce_type": b"t"})])
    assert [record.headers for record in await bus.read_range(topic, 0, 0, 1)] == [{"ce_id": b"", "ce_type": b"t"}]
    await bus.close()


def test_a_url_says_where_and_how(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = parse("kafka://a:9092,b:9092", "me")
    assert (plain.servers, plain.replication, plain.min_insync) == ("a:9092,b:9092", 3, 2)
    assert plain.options == {"bootstrap_servers": "a:9092,b:9092", "client_id": "me", "security_protocol": "PLAINTEXT"}
    assert parse("kafka://a:9092?replication=1", "me").min_insync == 1
    secured = parse("kafka://user:p%40ss@a:9092?security=SASL_SSL&mechanism=PLAIN", "me").options
    assert (secured["sasl_plain_username"], secured["sasl_plain_password"], secured["sasl_mechanism"]) == ("user", "p@ss", "PLAIN")
    assert secured["ssl_context"].check_hostname
    monkeypatch.setenv("POSTLAW_KAFKA_USERNAME", "env-user")
    monkeypatch.setenv("POSTLAW_KAFKA_PASSWORD", "env-pass")
    assert parse("kafka://a:9092", "me").options["sasl_plain_password"] == "env-pass"


@pytest.mark.parametrize("url", ["kafka://", "kafka://a:1?replication=0", "kafka://a:1?replication=x", "kafka://a:1?replicas=1"])
def test_a_wrong_url_is_one_clear_line(url: str) -> None:
    with pytest.raises(ValueError, match="POSTLAW_BUS"):
        parse(url, "me")


async def test_topics_that_were_emptied_are_of_another_generation_for_who_asked_before(local_kafka: Callable[[], LocalKafka]) -> None:
    """A topic made anew has its old name, and an old client would read on as if nothing had happened."""
    broker = await asyncio.to_thread(local_kafka)
    bus = KafkaBus(broker.url, partitions=2)
    await bus.start()
    asked_before, asked_after = Generations(bus), Generations(bus)
    first = await asked_before.begin()
    admin = AIOKafkaAdminClient(**parse(broker.url, "test").options)
    await admin.start()
    await admin.delete_topics([GENERATIONS.name])
    with suppress(BusUnavailable):
        assert await asked_before.now() != first
    second = ""
    async with asyncio.timeout(30):
        while not second:
            with suppress(BusUnavailable, KeyError):  # while the broker is still deleting
                second = await asked_after.begin()
    assert second != first
    assert await asked_before.now() == second
    for client in (asked_before, asked_after):
        await client.close()
    await admin.close()
    await bus.close()
