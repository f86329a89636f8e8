"""A MongoDB-wire server as local processes: a small Go program over a PostgreSQL cluster of our own (deploy/backing/mongodb-wire).

The program holds FerretDB 1.24, and before it a front that answers by itself what the store's adapter asks, over FerretDB's own tables
(ADR 55): finds by `_id`, lists and ranges of them and an indexed value, inserts, replacements at a version, removals, counts. FerretDB
answers the rest, and an update is atomic whoever does it.

It is no MongoDB: it knows no majority, fail-over or linearizable reads, and what rests on these is not proved by tests that run on it. It
lacks NUL in text, names with dots in them, and equality with what is inside a list. What FerretDB answers reads a whole collection.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import tempfile
from pathlib import Path

from postlaw_common.free_ports import free_port
from postlaw_common.testing.backing.processes import BackingFailed, Program, listening, run

SETTINGS = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=200",
    "unix_socket_directories=",
    "jit=off",  # its estimates of JSON conditions are far too high
    # Statements go by indexes whatever is known of a table. To look through 30,000 documents for that took half a processor for two seconds
    # after each import, in the midst of what was measured; and a table that only grows has nothing to be cleaned.
    "default_statistics_target=1",
    "autovacuum_vacuum_insert_threshold=-1",
    "autovacuum_naptime=10s",  # versions of a document that is written each second stay in its indexes until then; 1 s costs 13 ms a second
)


def postgres_bin() -> Path | None:
    """Where PostgreSQL's server programs are: on the path, or where Debian puts them."""
    for found in [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path(shutil.which("postgres") or "/nowhere/x").parent]:
        if all((found / program).exists() for program in ("postgres", "initdb", "psql")):
            return found
    return None


def install(project: Path, bin: Path) -> None:
    """`project` holds main.go and go.mod. Takes a minute or two the first time, nothing after."""
    if _up_to_date(bin / "mongodb-wire", project) and postgres_bin():
        return
    if postgres_bin() is None:
        raise BackingFailed("the MongoDB-wire server needs PostgreSQL: apt-get install postgresql")
    if shutil.which("go") is None:
        raise BackingFailed("the MongoDB-wire server needs Go: https://go.dev/dl")
    bin.mkdir(parents=True, exist_ok=True)
    tags = "ferretdb_no_hana,ferretdb_no_mysql"
    fresh = bin / f"mongodb-wire.{os.getpid()}"  # one that runs keeps the program that it began with
    run(["go", "build", "-trimpath", "-tags", tags, "-o", str(fresh), "."], cwd=project)
    fresh.rename(bin / "mongodb-wire")


def _up_to_date(program: Path, project: Path) -> bool:
    recipes = [*project.rglob("*.*"), Path(__file__)]
    return program.exists() and program.stat().st_mtime >= max(source.stat().st_mtime for source in recipes)


def _account(user: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise BackingFailed("as root, PostgreSQL needs the user postgres: apt-get install postgresql makes it") from None


def installed(bin: Path) -> bool:
    return (bin / "mongodb-wire").exists() and postgres_bin() is not None


class LocalMongoWire:
    """Both processes, with their data below `directory`; without fsync, since nothing here outlives a test."""

    def __init__(self, directory: Path, bin: Path) -> None:
        self._directory = directory
        self._bin = bin
        self.postgres = Program(directory, "postgres")
        self.program = Program(directory, "mongodb-wire")

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{(self._directory / 'port').read_text()}/?postlawReadConcern=local"

    def start(self, seconds: float = 120.0) -> None:
        programs = postgres_bin()
        assert programs is not None
        self._directory.mkdir(parents=True, exist_ok=True)
        port = self._start_postgres(programs, seconds)
        password = (self._directory / "password").read_text()
        url = f"postgres://postlaw:{password}@127.0.0.1:{port}/postlaw"
        if not (self._directory / "ready").exists():
            psql = [str(programs / "psql"), "-q", "-v", "ON_ERROR_STOP=1"]
            run([*psql, url.rpartition("/")[0] + "/postgres", "-c", "CREATE DATABASE postlaw"])
            (self._directory / "ready").touch()
        wire_port = self._port("port")
        state = self._directory / "state"
        state.mkdir(exist_ok=True)
        # Its own telemetry stays off: nothing in a test speaks to the outside.
        self.program.start([str(self._bin / "mongodb-wire"), "-listen", f"127.0.0.1:{wire_port}", "-postgres", url], cwd=state)
        self.program.wait(lambda: listening(wire_port), seconds)

    def _port(self, name: str) -> int:
        file = self._directory / name
        if not file.exists():
            file.write_text(str(free_port()))
        return int(file.read_text())

    def _start_postgres(self, programs: Path, seconds: float) -> int:
        user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
        data = self._cluster(programs, user)
        port = self._port("postgres-port")
        command = [str(programs / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(port)]
        for setting in SETTINGS:
            command += ["-c", setting]
        self.postgres.start(command, user=user, cwd=data)
        self.postgres.wait(lambda: self.postgres.logged("ready to accept connections"), seconds)
        return port

    def _cluster(self, programs: Path, user: str | None) -> Path:
        place = self._directory / "cluster"
        if place.exists():
            return Path(place.read_text())
        root = self._directory
        owner = _account(user) if user is not None else None
        if owner is not None and not all(parent.stat().st_mode & 0o001 for parent in (root, *root.parents)):
            root = Path(tempfile.mkdtemp(prefix="postlaw-backing-"))  # that user cannot reach a checkout below /root
            root.chmod(0o755)
        data = root / "postgres"
        data.mkdir(mode=0o700, exist_ok=True)
        secret = data.parent / "password.init"
        secret.write_text(secrets.token_hex(16))
        secret.chmod(0o600)
        if owner is not None:
            os.chown(data, owner.pw_uid, owner.pw_gid)
            os.chown(secret, owner.pw_uid, owner.pw_gid)
        words = ["--username=postlaw", "--auth=scram-sha-256", f"--pwfile={secret}", "--locale=C", "--encoding=UTF8", "--no-sync"]
        run([str(programs / "initdb"), "-D", str(data), *words], cwd=data, user=user)
        secret.rename(self._directory / "password")
        place.write_text(str(data))
        return data

    def stop(self) -> None:
        self.program.stop()
        self.postgres.stop(signal.SIGINT)  # its fast shutdown: does not wait for clients

    def remove(self) -> None:
        """Stops it for good. Its cluster goes, too, where it lies outside `directory`: hundreds of megabytes that nobody takes away."""
        self.stop()
        place = self._directory / "cluster"
        if not place.exists():
            return
        cluster = Path(place.read_text())
        place.unlink()
        if cluster.parent != self._directory:
            shutil.rmtree(cluster.parent)
