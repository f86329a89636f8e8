"""`postlaw bucket`: makes the bucket that the mesh keeps its blobs in, with Object Lock, which cannot be switched on later."""

from __future__ import annotations

import time
from urllib.parse import parse_qsl, urlsplit

import click

PATIENCE_S = 60.0


@click.command()
@click.argument("url")
def bucket(url: str) -> None:
    """Makes the bucket of POSTLAW_BLOBS' form s3://bucket?endpoint=http://…, or checks that what is there has Object Lock.

    Credentials come from the environment, as every AWS client reads them. Waits up to a minute for the server to answer.

    \b
    Example:
      postlaw bucket 's3://postlaw?endpoint=http://127.0.0.1:7070'
    Exit codes: 0 it is there, 1 it cannot be made or lacks Object Lock, 2 wrong usage.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    if parts.scheme != "s3" or not parts.netloc:
        raise click.UsageError(f"the address is {url!r}; give s3://bucket?endpoint=http://…")
    until = time.monotonic() + PATIENCE_S
    while (wrong := _ensure(parts.netloc, options)) is not None:
        if time.monotonic() > until:
            raise click.ClickException(wrong)
        time.sleep(1)
    click.echo(f"the bucket {parts.netloc} is there, with Object Lock")


def _ensure(name: str, options: dict[str, str]) -> str | None:
    """None where all is well, else what is wrong and may pass. Raises ClickException for what will not."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.session import Session

    client = Session().create_client("s3", endpoint_url=options.get("endpoint"), region_name=options.get("region", "us-east-1"))
    try:
        if name not in {found["Name"] for found in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
        client.get_object_lock_configuration(Bucket=name)
    except ClientError as refused:
        code = str(refused.response.get("Error", {}).get("Code", ""))
        if code == "ObjectLockConfigurationNotFoundError":
            raise click.ClickException(f"the bucket {name} has no Object Lock, which can only be had when a bucket is made") from refused
        return f"S3 refused ({code})"
    except (BotoCoreError, OSError) as away:
        return f"S3 does not answer ({type(away).__name__})"
    return None
