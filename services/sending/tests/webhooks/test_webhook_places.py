"""Where a webhook may go, and how its messages are signed."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from contextlib import suppress
from typing import Any, cast

import pytest

from postlaw_common.errors import Invalid
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_sending.domains.dns import Resolver
from postlaw_sending.domains.public_addresses import is_public
from postlaw_sending.testing.dns_server import dns_server
from postlaw_sending.webhooks.destination import NotAllowed, by_dns, by_system, checked_url, place_of
from postlaw_sending.webhooks.domain import Webhook
from postlaw_sending.webhooks.posting import Posting
from postlaw_sending.webhooks.signing import headers, shown


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/", "https://user:secret@shop.example/", "https:///x", "ftp://shop.example", "https://shop.example:99999/",
        "https://shop.example/#x", "https://shop.example/\r\nx", "https://é.example/",
    ],
)  # fmt: skip
def test_a_webhook_is_an_https_url_and_nothing_else(url: str) -> None:
    with pytest.raises(Invalid):
        checked_url(url, private=False)


@promise("X7")
@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "::1", "::", "fe80::1%eth0",
        "fc00::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "255.255.255.255",
    ],
)  # fmt: skip
async def test_no_name_leads_a_webhook_into_a_network_that_is_not_public(address: str) -> None:
    """Nor an IPv4 address inside an IPv6 one: RFC 4291 §2.5.5.2, RFC 6052, RFC 3056."""
    assert not is_public(address)

    async def resolve(name: str, port: int) -> list[str]:
        return ["93.184.215.14", address]  # one of several is enough

    with pytest.raises(NotAllowed):
        await place_of("https://shop.example/hook", resolve, private=False)


@pytest.mark.parametrize("url", ["https://shop..example/", f"https://{'x' * 64}.example/"])
async def test_what_can_be_no_name_is_no_place(url: str) -> None:
    with pytest.raises(NotAllowed):
        await place_of(url, by_system, private=True)


async def test_names_are_asked_of_the_dns_and_addresses_of_nobody() -> None:
    async with dns_server() as server:
        server.put("shop.example", "A", "8.8.8.8")
        server.troubles["away.example"] = "servfail"
        resolve = by_dns(Resolver([server.address], timeout_s=3.0))
        assert (await place_of("https://shop.example/", resolve, private=False)).url == "https://8.8.8.8:443/"
        assert (await place_of("https://8.8.4.4/", resolve, private=False)).url == "https://8.8.4.4:443/"
        for url in ("https://away.example/", "https://nobody.example/", "https://[::1]/", "https://shop..example/"):
            with pytest.raises(NotAllowed):
                await place_of(url, resolve, private=False)


async def test_an_answer_that_comes_byte_by_byte_holds_nothing_up() -> None:
    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"H")
                await writer.drain()
                await asyncio.sleep(0.01)

    class NoKeys:
        async def keys(self, webhook: Webhook) -> list[bytes]:
            return [b"k"]

    async with await asyncio.start_server(dribble, "127.0.0.1", 0) as server, patience():
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        post = Posting(cast("Any", NoKeys()), by_system, private=True, within_s=0.1)
        assert await post(Webhook("whk_1", "ten_1", url, 0), "evt_1", b"{}") == "not-taken"


async def test_the_connection_goes_to_the_address_that_was_looked_at() -> None:
    async def resolve(name: str, port: int) -> list[str]:
        assert (name, port) == ("shop.example", 8443)
        return ["2606:2800:21f:cb07:6820:80da:af6b:8b2c", "93.184.215.14"]

    place = await place_of("https://shop.example:8443/hook?x=1", resolve, private=False)
    assert place.url == "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]:8443/hook?x=1"
    assert (place.host, place.name) == ("shop.example:8443", "shop.example")


@promise("X7")
def test_a_message_is_signed_as_standard_webhooks_has_it_by_each_secret() -> None:
    new, old = b"n" * 32, b"o" * 32
    said = headers("evt_1", 1_800_000_000, b'{"a":1}', [new, old])
    expected = [base64.b64encode(hmac.new(key, b'evt_1.1800000000.{"a":1}', hashlib.sha256).digest()).decode() for key in (new, old)]
    assert said["webhook-signature"].split() == [f"v1,{one}" for one in expected]
    assert (said["webhook-id"], said["webhook-timestamp"]) == ("evt_1", "1800000000")
    assert base64.b64decode(shown(new).removeprefix("whsec_")) == new


def test_the_specifications_own_example_comes_out() -> None:
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    said = headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}', [key])
    assert said["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
