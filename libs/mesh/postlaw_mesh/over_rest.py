"""What a customer's own commands share: they ask the REST API, with an API key that comes by environment or file, never by flag."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TextIO, TypeVar
from urllib.parse import quote

import click

from postlaw_common.http_client import httpx
from postlaw_mesh.rest_client import ApiProblem, RestClient, client

T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., Any])

REFUSED = 3
"""The exit code of an answer that says no, as other commands have it for what they find to be wrong."""


def over_rest(command: Command) -> Command:
    """Adds `url`, `key_file` and `as_json`."""
    url = click.option(
        "--url", envvar="POSTLAW_PUBLIC_URL", default="http://localhost:8080", show_default=True, help="The gateway's address."
    )
    key = click.option("--key-file", type=click.File(encoding="utf-8"), help="A file with the API key. Default: POSTLAW_API_KEY holds it.")
    as_json = click.option("--json", "as_json", is_flag=True, help="What the API answered, one JSON object a line.")
    return url(key(as_json(command)))


def asked(url: str, key_file: TextIO | None, ask: Callable[[RestClient], Awaitable[T]]) -> T:
    """What the API answers. Raises click's own for what ends the command: 1 where it cannot be asked or refuses, 2 without a key."""
    key = (key_file.read() if key_file else os.environ.get("POSTLAW_API_KEY", "")).strip()
    if not key.isascii() or not key.isprintable() or not key:
        raise click.UsageError("there is no API key; set POSTLAW_API_KEY, or name a file of it with --key-file")

    async def talk() -> T:
        async with client(url, key) as api:
            return await ask(api)

    try:
        return asyncio.run(talk())
    except ApiProblem as problem:
        raise click.ClickException(str(problem)) from problem
    except (httpx.HTTPError, httpx.InvalidURL) as away:
        raise click.ClickException(f"{url} cannot be asked: {away or type(away).__name__}") from away


def listed(url: str, key_file: TextIO | None, path: str, of: str) -> list[dict[str, Any]]:
    """All of a list, whose pages hold them under the name `of`. Raises as `asked`."""

    async def ask(api: RestClient) -> list[dict[str, Any]]:
        return [one async for page in pages(api, path) for one in page.get(of, [])]

    return asked(url, key_file, ask)


def done(url: str, key_file: TextIO | None, path: str, *names: str) -> dict[str, Any]:
    """What a POST without a body answers, `names` being the caller's, in their places in the path. Raises as `asked`."""

    async def ask(api: RestClient) -> dict[str, Any]:
        return await api.call("POST", path.format(*map(in_path, names)))

    return asked(url, key_file, ask)


async def pages(api: RestClient, path: str, **params: str) -> AsyncGenerator[dict[str, Any]]:
    """Each page of a list, to its end."""
    after = ""
    while True:
        page = await api.call("GET", path, params=params | ({"page_token": after} if after else {}))
        yield page
        after = page.get("next_page_token", "")
        if not after:
            return


def in_path(name: str) -> str:
    """A name of the caller's, as one segment of a path."""
    return quote(name, safe="")
