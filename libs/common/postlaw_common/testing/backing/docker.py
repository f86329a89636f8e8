"""The backing services as containers, by testcontainers: Kafka, MongoDB itself as a replica set of one, versitygw."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable

from testcontainers.core.container import DockerContainer

from postlaw_common.free_ports import free_port
from postlaw_common.testing.backing.processes import BackingFailed, listening
from postlaw_common.testing.backing.s3 import BUCKET, VERSION, make_bucket

KAFKA_IMAGE = "apache/kafka:4.1.0"
MONGODB_IMAGE = "mongo:8.0"
S3_IMAGE = f"versity/versitygw:{VERSION}"


class DockerBacking:
    """Containers on loopback ports chosen beforehand, since Kafka and a replica set must know their own address."""

    def __init__(self) -> None:
        self._containers: list[DockerContainer] = []
        self._urls: dict[str, str] = {}

    def url(self, service: str) -> str:
        if service not in self._urls:
            start = {"kafka": self._kafka, "mongodb": self._mongodb, "s3": self._s3}[service]
            self._urls[service] = start()
        return self._urls[service]

    def _run(self, container: DockerContainer, ready: Callable[[], bool], seconds: float = 120.0) -> None:
        container.start()
        self._containers.append(container)
        deadline = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > deadline:
                raise BackingFailed(f"the container of {container.image} was not ready within {seconds:.0f} s")
            time.sleep(0.2)

    def _kafka(self) -> str:
        port = free_port()
        container = DockerContainer(KAFKA_IMAGE).with_bind_ports(9092, port)
        settings = {
            "KAFKA_PROCESS_ROLES": "broker,controller",
            "KAFKA_NODE_ID": "1",
            "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
            "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
            "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
            "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
            "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
            "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        }
        for name, value in settings.items():
            container.with_env(name, value)
        self._run(container, lambda: b"Kafka Server started" in container.get_logs()[0])
        return f"kafka://127.0.0.1:{port}?replication=1"

    def _mongodb(self) -> str:
        port = free_port()
        container = DockerContainer(MONGODB_IMAGE).with_bind_ports(27017, port).with_command("--replSet rs0 --bind_ip_all")
        begin = "try { rs.status().ok } catch (e) { rs.initiate({_id: 'rs0', members: [{_id: 0, host: 'localhost:27017'}]}).ok }"

        def ready() -> bool:
            container.exec(["mongosh", "--quiet", "--eval", begin])
            return b"true" in container.exec(["mongosh", "--quiet", "--eval", "db.hello().isWritablePrimary"]).output

        self._run(container, ready)
        return f"mongodb://127.0.0.1:{port}/?directConnection=true"

    def _s3(self) -> str:
        port, secret = free_port(), secrets.token_hex(16)
        container = DockerContainer(S3_IMAGE).with_bind_ports(7070, port)
        container.with_env("ROOT_ACCESS_KEY", "postlaw-test").with_env("ROOT_SECRET_KEY", secret)
        container.with_command("--port :7070 posix --versioning-dir /var/tmp /tmp")
        self._run(container, lambda: listening(port))
        os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"] = "postlaw-test", secret
        make_bucket(f"http://127.0.0.1:{port}", "postlaw-test", secret)
        return f"s3://{BUCKET}?endpoint=http://127.0.0.1:{port}"

    def close(self) -> None:
        for container in reversed(self._containers):
            container.stop()
        self._containers.clear()
