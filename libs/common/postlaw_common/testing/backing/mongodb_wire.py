"""A MongoDB-wire server as local processes: FerretDB in a small Go program, over a PostgreSQL cluster of our own.

It knows no majority, fail-over or linearizable reads: what rests on these is not proved by tests that run on it. FerretDB 1.24
filters by `_jsonb->'field' @> …`, which no B-tree serves, so that each find reads everything; an event trigger in PostgreSQL
puts a GIN index beside every index that FerretDB makes (365 → 1,657 finds a second in 8,000 documents).

Nor is its update atomic, and it reads a whole collection where documents are asked for by a list of `_id`s: the Go program mends
both, in front of it (front.go, split.go). What it still lacks beside MongoDB: lists inside lists, NUL in text, and a name of its own
for a unique value that an update meets.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from postlaw_common.free_ports import free_port
from postlaw_common.testing.backing.processes import BackingFailed, Program, listening, run

TRIGGER = r"""
CREATE FUNCTION gin_beside() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE made record; field text; home regclass;
BEGIN
  FOR made IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE command_tag = 'CREATE INDEX' LOOP
    field := substring(pg_get_indexdef(made.objid) from 'USING btree \(\(\(?_jsonb -> ''([A-Za-z0-9_.]+)''');
    IF field IS NOT NULL THEN
      SELECT indrelid::regclass INTO home FROM pg_index WHERE indexrelid = made.objid;
      EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON %s USING gin ((_jsonb->%L) jsonb_path_ops) WITH (fastupdate = off)',
                     'gin_' || home::oid || '_' || md5(field), home, field);
    END IF;
  END LOOP;
END $$;
CREATE EVENT TRIGGER gin_beside ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION gin_beside();
"""

_FERRETDB = "github.com/FerretDB/FerretDB"

SETTINGS = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "plan_cache_mode=force_custom_plan",  # a generic plan passes over the GIN indexes
    "max_connections=200",
    "unix_socket_directories=",
    "jit=off",  # its estimates of JSON conditions are far too high
    "autovacuum_naptime=1s",  # every version of a document that is written each second stays in its indexes until then
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
    with tempfile.TemporaryDirectory(prefix="postlaw-build-") as directory:
        source = _without_tracking(project, Path(directory))
        run(["go", "build", "-trimpath", "-tags", tags, "-o", str(fresh), "."], cwd=source, env=_experiment())
    fresh.rename(bin / "mongodb-wire")


def _without_tracking(project: Path, directory: Path) -> Path:
    """A copy of the program beside a FerretDB that does not note who opened what (untracked/resource.go): 72 → 47 µs a document."""
    source = directory / "mongodb-wire"
    shutil.copytree(project, source, ignore=shutil.ignore_patterns("untracked"))
    run(["go", "mod", "download", _FERRETDB], cwd=source)
    found = subprocess.run(["go", "list", "-m", "-f", "{{.Dir}}", _FERRETDB], cwd=source, capture_output=True, text=True, check=True)
    ours = directory / "ferretdb"
    shutil.copytree(found.stdout.strip(), ours, copy_function=shutil.copyfile)
    for place in (ours, *ours.rglob("*/")):  # the module cache is read-only: nobody but root could write to such a copy, or remove it
        place.chmod(0o755)
    shutil.copyfile(project / "untracked" / "resource.go", ours / "internal" / "util" / "resource" / "resource.go")
    run(["go", "mod", "edit", f"-replace={_FERRETDB}={ours}"], cwd=source)
    return source


def _experiment() -> dict[str, str]:
    """Go's newer JSON decoder, where this Go has it: FerretDB spends most of a find on decoding (140 → 100 µs a document)."""
    known = {"GOEXPERIMENT": "jsonv2"}
    asked = subprocess.run(["go", "env", "GOEXPERIMENT"], env=os.environ | known, capture_output=True, check=False)
    return {} if asked.returncode else known


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
        return f"mongodb://127.0.0.1:{(self._directory / 'port').read_text()}/?postlawReadConcern=local&postlawIdRanges=read-all"

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
            run([*psql, url, "-c", TRIGGER])
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
