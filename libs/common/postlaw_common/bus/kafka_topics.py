"""Topics on Kafka as this installation must have them: made where they are missing, checked where they are there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from postlaw_common.bus import BusUnavailable, Topic, TopicMismatch
from postlaw_common.bus.kafka_connection import Connection

DAY_MS = 86_400_000
LARGEST_RECORD = 4 << 20  # a sealed batch of 200 people stays far below
LEADERS_SECONDS = 60.0  # of a start, for which nobody waits: a new cluster of one busy machine took more than fifteen


def settings(topic: Topic, connection: Connection) -> dict[str, str]:
    return {
        "min.insync.replicas": str(connection.min_insync),
        "unclean.leader.election.enable": "false",  # a record that was acknowledged must not vanish
        "retention.ms": str(topic.retention_days * DAY_MS),
        "cleanup.policy": "delete",
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(LARGEST_RECORD),
    }


async def ensure(admin: AIOKafkaAdminClient, topics: Sequence[Topic], partitions: int, connection: Connection) -> None:
    """Raises TopicMismatch, naming the setting and the command that mends it; BusUnavailable; KafkaError."""
    names = set(await admin.list_topics())
    missing = [topic for topic in topics if topic.name not in names]
    if missing:
        made: Any = await admin.create_topics(
            [
                NewTopic(topic.name, topic.partitions or partitions, connection.replication, topic_configs=settings(topic, connection))
                for topic in missing
            ]
        )
        for name, code, *message in made.topic_errors:
            # Another service may have been quicker: then it is checked below, like every other.
            if code and code != TopicAlreadyExistsError.errno:
                raise BusUnavailable(f"topic {name} cannot be made: {for_code(code).__name__} {message[0] if message else ''}".rstrip())
    described = await _with_leaders(admin, [topic.name for topic in topics])
    found = await _configs(admin, [topic.name for topic in topics])
    for topic in topics:
        _check_shape(topic.name, described[topic.name], topic.partitions or partitions, connection)
        _check_settings(topic.name, found[topic.name], settings(topic, connection), connection)


async def _with_leaders(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Partitions by topic, once each has a leader: a topic just made has none for a moment."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LEADERS_SECONDS
    while True:
        topics = {topic["topic"]: topic for topic in await admin.describe_topics(list(names))}
        if all(
            name in topics and topics[name]["partitions"] and all(p["leader"] >= 0 for p in topics[name]["partitions"]) for name in names
        ):
            return {name: topics[name]["partitions"] for name in names}
        if loop.time() > deadline:
            raise BusUnavailable(f"Kafka found no leader for every partition of {', '.join(names)}")
        await asyncio.sleep(0.05)


async def _configs(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    responses: list[Any] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    for response in responses:
        for code, message, _, name, entries in response.resources:
            if code:
                raise BusUnavailable(f"the settings of topic {name} cannot be read: {for_code(code).__name__} {message}")
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


def _check_shape(name: str, partitions: list[dict[str, Any]], wanted: int, connection: Connection) -> None:
    if len(partitions) != wanted:
        raise TopicMismatch(
            f"topic {name} has {len(partitions)} partitions, this installation needs {wanted}; the count is fixed when it is installed: "
            f"set POSTLAW_PARTITIONS to {len(partitions)}, or use a Kafka without this topic"
        )
    for partition in partitions:
        if len(partition["replicas"]) < connection.replication:
            raise TopicMismatch(
                f"topic {name} keeps {len(partition['replicas'])} replicas, this installation needs {connection.replication}: "
                f"kafka-reassign-partitions.sh, or replication={len(partition['replicas'])} in POSTLAW_BUS"
            )


def _check_settings(name: str, found: dict[str, str], wanted: dict[str, str], connection: Connection) -> None:
    for setting, value in wanted.items():
        there = found.get(setting, "")
        if setting in ("retention.ms", "max.message.bytes"):
            fits = int(there) < 0 or int(there) >= int(value)  # more is fine; -1 keeps for ever
        elif setting == "min.insync.replicas":
            fits = int(there) >= int(value)
        else:
            fits = there == value
        if not fits:
            raise TopicMismatch(
                f"topic {name} has {setting}={there}, this installation needs {value}: kafka-configs.sh --bootstrap-server "
                f"{connection.servers} --alter --entity-type topics --entity-name {name} --add-config {setting}={value}"
            )
