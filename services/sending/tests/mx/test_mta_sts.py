"""MTA-STS policies: what one says, and how long it counts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path

import pytest

from postlaw_common.store.embedded import EmbeddedStore
from postlaw_common.testing.promises import promise
from postlaw_sending.domains.dns import Resolver
from postlaw_sending.mx.sts import Fetch, Policies
from postlaw_sending.mx.sts_kept import STS_POLICIES, KeptPolicies
from postlaw_sending.mx.sts_policy import NoPolicy, parsed
from postlaw_sending.testing.certificates import certificate_of
from postlaw_sending.testing.dns_server import dns_server

ENFORCED = "version: STSv1\r\nmode: enforce\r\nmx: mx.a.example\r\nmx: *.b.example\r\nmax_age: 1000\r\n"


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncGenerator[KeptPolicies]:
    store = EmbeddedStore(str(tmp_path), "sending")
    await store.start([STS_POLICIES])
    yield KeptPolicies(lambda: store.collection(STS_POLICIES.name))
    await store.close()


@pytest.mark.parametrize(
    ("host", "named"), [("mx.a.example", True), ("x.b.example", True), ("b.example", False), ("x.y.b.example", False), ("a.example", False)]
)
def test_a_pattern_stands_for_one_label(host: str, named: bool) -> None:
    """RFC 8461 §4.1."""
    assert parsed(ENFORCED).names(host) is named


@pytest.mark.parametrize(
    "text",
    [
        "",
        "version: STSv2\nmode: enforce\nmx: a\nmax_age: 1",
        "version: STSv1\nmode: enforce\nmax_age: 1",
        "version: STSv1\nmode: must\nmx: a\nmax_age: 1",
        "version: STSv1\nmode: enforce\nmx: a\nmax_age: -1",
        "version: STSv1\nmode: enforce\nmx: a",
        "<html>",
    ],
)
def test_what_is_no_policy_is_not_kept_to(text: str) -> None:
    """RFC 8461 §3.2."""
    with pytest.raises(NoPolicy):
        parsed(text)


@promise("X1")
async def test_a_policy_counts_for_its_whole_age_whatever_the_dns_says_by_then(kept: KeptPolicies) -> None:
    """RFC 8461 §3.1, §5.1: taking the record away, or the page, takes no protection away, not even from a worker that has just started;
    a new id makes it be read again."""
    now, page, fetched = 0.0, ENFORCED, 0

    async def fetch(domain: str) -> str:
        nonlocal fetched
        fetched += 1
        if not page:
            raise NoPolicy("gone")
        return page

    async with dns_server() as dns:

        def started() -> Policies:
            return Policies(Resolver([dns.address], timeout_s=3.0), fetch, kept, lambda: int(now * 1e6), lambda: now)

        policies = started()
        assert await policies.enforced("a.example") is None
        assert fetched == 0
        dns.put("_mta-sts.a.example", "TXT", '"v=STSv1; id=1;"')
        now = 300.0
        assert await policies.enforced("a.example")
        dns.put("_mta-sts.a.example", "TXT", '"v=STSv1; id=2;"')
        page = ""
        now = 700.0
        assert await policies.enforced("a.example")
        assert fetched == 2
        dns.put("_mta-sts.a.example", "TXT")
        now = 1299.0
        assert await policies.enforced("a.example")
        assert await started().enforced("a.example")
        now = 1300.0
        assert await policies.enforced("a.example") is None
        assert await started().enforced("a.example") is None
        dns.put("_mta-sts.a.example", "TXT", '"v=STSv1; id=3;"')
        page = ENFORCED.replace("enforce", "testing")
        now = 2000.0
        assert await policies.enforced("a.example") is None


@promise("X1")
@pytest.mark.parametrize("answer", ["byte by byte", "no HTTP", "too large", "a page", "moved"])
async def test_a_policy_that_is_not_there_is_not_waited_for(tmp_path: Path, answer: str) -> None:
    """RFC 8461 §3.3: HTTPS, a certificate of the host's, text/plain, no redirect; a server that plays games holds nobody up."""
    context, ca = certificate_of(tmp_path, "mta-sts.a.example")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        status, kind, size = ("302 Found" if answer == "moved" else "200 OK"), ("html" if answer == "a page" else "plain"), 70_000
        head = f"HTTP/1.1 {status}\r\nContent-Type: text/{kind}\r\nLocation: https://127.0.0.1/\r\nContent-Length: {size}\r\n\r\n"
        if answer != "no HTTP":
            writer.write(head.encode())
        with suppress(ConnectionError):
            for _ in range(size):
                writer.write(b"v" * (size if answer == "too large" else 1))
                await writer.drain()
                await asyncio.sleep(0.02)

    async def addresses(host: str) -> tuple[str, ...]:
        return ("127.0.0.1",)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    verifying = ssl.create_default_context(cafile=ca)
    try:
        with pytest.raises(NoPolicy, match={"too large": "64 kB", "a page": "text/html", "moved": "302"}.get(answer, "in time")):
            await Fetch(addresses, port=port, within_s=0.5, context=verifying)("a.example")
        with pytest.raises(NoPolicy, match="ConnectError"):  # the certificate is another host's
            await Fetch(addresses, port=port, within_s=5.0, context=verifying)("b.example")
    finally:
        server.close()
