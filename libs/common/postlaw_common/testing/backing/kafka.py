"""Apache Kafka as one local process: KRaft, one node, its own jars from Maven."""

from __future__ import annotations

import base64
import shutil
import signal
import uuid
from pathlib import Path

from postlaw_common.free_ports import free_port
from postlaw_common.testing.backing.processes import BackingFailed, Program, run

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={directory}/data
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
num.network.threads=2
num.io.threads=2
"""

LOG4J = """\
<Configuration status="WARN"><Appenders><Console name="out"><PatternLayout pattern="%d %p %c{1} %m%n"/></Console></Appenders>
<Loggers><Root level="INFO"><AppenderRef ref="out"/></Root></Loggers></Configuration>
"""


def install(project: Path, libs: Path) -> None:
    """`project` holds pom.xml. Takes seconds the first time, nothing after."""
    if any(libs.glob("kafka_2.13-*.jar")):
        return
    if shutil.which("mvn") is None or shutil.which("java") is None:
        raise BackingFailed("Kafka needs Java and Maven: apt-get install default-jre-headless maven")
    run(["mvn", "-q", "-B", "-f", str(project / "pom.xml"), "dependency:copy-dependencies", f"-DoutputDirectory={libs}"])


def installed(libs: Path) -> bool:
    return shutil.which("java") is not None and any(libs.glob("kafka_2.13-*.jar"))


class LocalKafka:
    """One broker with its data in `directory`. It keeps its ports and its data over stop and start, as a real one does."""

    def __init__(self, directory: Path, libs: Path) -> None:
        self._directory = directory
        self._libs = libs
        self.program = Program(directory, "kafka")

    @property
    def url(self) -> str:
        return f"kafka://127.0.0.1:{(self._directory / 'port').read_text()}?replication=1"

    def start(self, seconds: float = 180.0) -> None:
        java = ["java", "-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{self._libs}/*"]
        java.append(f"-Dlog4j2.configurationFile={self._directory}/log4j2.xml")
        properties = self._directory / "server.properties"
        if not properties.exists():
            self._directory.mkdir(parents=True, exist_ok=True)
            port = free_port()
            (self._directory / "port").write_text(str(port))
            (self._directory / "log4j2.xml").write_text(LOG4J)
            random = uuid.uuid4().bytes
            # Its first letter must not be a dash, which Kafka's own tool would take for another option.
            cluster = base64.urlsafe_b64encode(bytes([random[0] & 0x7F]) + random[1:]).decode().rstrip("=")
            text = PROPERTIES.format(port=port, controller=free_port(), directory=self._directory)
            fresh = properties.with_suffix(".fresh")
            fresh.write_text(text)
            run([*java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(fresh)])
            fresh.rename(properties)
        self.program.start([*java, "kafka.Kafka", str(properties)])
        self.program.wait(lambda: self.program.logged("Kafka Server started"), seconds)

    def stop(self) -> None:
        self.program.stop(seconds=30.0)

    def keep_copy(self) -> None:
        """Of all that it holds, topics and committed offsets. It must be stopped."""
        shutil.copytree(self._directory / "data", self._directory / "copy")

    def set_back(self) -> None:
        """To the copy: it holds again what it held then. It must be stopped."""
        shutil.rmtree(self._directory / "data")
        (self._directory / "copy").rename(self._directory / "data")

    def kill(self) -> None:
        self.program.stop(signal.SIGKILL)
