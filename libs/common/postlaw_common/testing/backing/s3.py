"""An S3 server with Object Lock as one local process: versitygw over a directory."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

from botocore.session import Session

from postlaw_common.free_ports import free_port
from postlaw_common.testing.backing.processes import BackingFailed, Program, listening, run

VERSION = "v1.8.0"
BUCKET = "postlaw-test"


def install(bin: Path) -> None:
    """Takes a minute or two the first time, nothing after."""
    if (bin / "versitygw").exists():
        return
    if shutil.which("go") is None:
        raise BackingFailed("the S3 server needs Go: https://go.dev/dl")
    bin.mkdir(parents=True, exist_ok=True)
    run(["go", "install", f"github.com/versity/versitygw/cmd/versitygw@{VERSION}"], env={"GOBIN": str(bin)})


def installed(bin: Path) -> bool:
    return (bin / "versitygw").exists()


def make_bucket(endpoint: str, access: str, secret: str) -> None:
    """The test bucket with Object Lock, unless it is there."""
    client = Session().create_client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=access, aws_secret_access_key=secret
    )
    if BUCKET not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)


class LocalS3:
    def __init__(self, directory: Path, bin: Path) -> None:
        self._directory = directory
        self._bin = bin
        self.program = Program(directory, "versitygw")

    @property
    def url(self) -> str:
        return f"s3://{BUCKET}?endpoint=http://127.0.0.1:{(self._directory / 'port').read_text()}"

    @property
    def credentials(self) -> dict[str, str]:
        access, secret = (self._directory / "credentials").read_text().split()
        return {"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret}

    def start(self, seconds: float = 120.0) -> None:
        objects, versions = self._directory / "objects", self._directory / "versions"
        for directory in (objects, versions):
            directory.mkdir(parents=True, exist_ok=True)
        if not (self._directory / "credentials").exists():
            (self._directory / "port").write_text(str(free_port()))
            (self._directory / "credentials").touch(mode=0o600)
            (self._directory / "credentials").write_text(f"postlaw-test {secrets.token_hex(16)}")
        port = int((self._directory / "port").read_text())
        keys = self.credentials
        env = {"ROOT_ACCESS_KEY": keys["AWS_ACCESS_KEY_ID"], "ROOT_SECRET_KEY": keys["AWS_SECRET_ACCESS_KEY"]}
        server = [
            str(self._bin / "versitygw"),
            "--port",
            f"127.0.0.1:{port}",
            "--keep-alive",
        ]  # as every S3 does, but this one only if told
        command = [*server, "posix", "--versioning-dir", str(versions), str(objects)]
        self.program.start(command, env=env)
        self.program.wait(lambda: listening(port), seconds)
        make_bucket(f"http://127.0.0.1:{port}", keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"])

    def stop(self) -> None:
        self.program.stop()
