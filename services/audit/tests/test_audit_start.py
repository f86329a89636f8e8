"""What the audit log refuses to start on, with one clear line; on the real S3 server."""

from __future__ import annotations

import uuid
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.session import Session

from postlaw_audit.service import AuditSettings, build
from postlaw_common.opening import StartRefused
from postlaw_common.settings import load
from postlaw_common.testing.mesh import mesh


@pytest.fixture
def bucket(s3_url: str) -> Generator[tuple[Any, str, str]]:
    """(S3's client, name, POSTLAW_BLOBS) of a bucket of the test's own, with Object Lock."""
    endpoint = parse_qs(urlsplit(s3_url).query)["endpoint"][0]
    client: Any = Session().create_client("s3", endpoint_url=endpoint, region_name="us-east-1")
    name = f"audit-{uuid.uuid4().hex[:16]}"
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    yield client, name, f"s3://{name}?endpoint={endpoint}"
    for version in client.list_object_versions(Bucket=name).get("Versions", ()):
        client.delete_object(Bucket=name, Key=version["Key"], VersionId=version["VersionId"], BypassGovernanceRetention=True)
    client.delete_bucket(Bucket=name)


async def test_a_bucket_that_keeps_everything_is_refused_at_the_start(tmp_path: Path, bucket: tuple[Any, str, str]) -> None:
    client, name, url = bucket
    lock: dict[str, Any] = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}}}
    client.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=lock)
    with pytest.raises(StartRefused, match=r"keeps every new object for 30 days.*take the default retention off"):
        async with mesh(tmp_path, [lambda platform: build(platform, load(AuditSettings))], blobs=url):
            pass
    assert "Versions" not in client.list_object_versions(Bucket=name)
    client.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    async with mesh(tmp_path, [lambda platform: build(platform, load(AuditSettings))], blobs=url):
        pass
