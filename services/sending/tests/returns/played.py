"""What stands around the returns in their tests: an outside that may fail at any call, a listener, a mail server's bounce."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from postlaw_common.bus import BusUnavailable, Record
from postlaw_common.errors import Invalid, Unavailable
from postlaw_common.store import Collection, Store, StoreUnavailable, open_store
from postlaw_sending.messages.return_path import SentMessage
from postlaw_sending.returns.acting import Acting
from postlaw_sending.returns.judging import CameBack
from postlaw_sending.returns.listener import Inbox, Listener
from postlaw_sending.returns.people import About
from postlaw_sending.returns.proofs import Proof
from postlaw_sending.returns.providers import PROVIDERS, Providers
from postlaw_sending.returns.received import RECEIVED, Received
from postlaw_sending.returns.soft_bounces import SOFT_BOUNCES, SoftBounces
from services.sending.tests.messages.compiled import ADDRESS_KEY, CAMPAIGN, OneKey, Person, campaign, started_return_paths

PATHS = started_return_paths("returns.example")
PATH = campaign(return_paths=PATHS).envelope_from(Person()).decode()
SENT = SentMessage(CAMPAIGN, ADDRESS_KEY[:13])
TOKEN = "AbCd-_19" * 29
DAY_US = 86_400_000_000


def bounce(id: str = "1", status: str = "5.1.1") -> bytes:
    return (
        f"From: MAILER-DAEMON@mx.example\r\nTo: {PATH}\r\nMessage-ID: <{id}@mx.example>\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="x"\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nNo.\r\n'
        "--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
        f"Final-Recipient: rfc822; a@b.example\r\nAction: failed\r\nStatus: {status}\r\n\r\n--x--\r\n"
    ).encode()


class Breaking:
    """Counts what is asked of the outside; the call of this number fails, before or after its effect."""

    def __init__(self) -> None:
        self.at = -1
        self.after = False
        self.calls = 0

    async def __call__(self, effect: Callable[[], object], failure: Exception) -> None:
        number, self.calls = self.calls, self.calls + 1
        if number == self.at and not self.after:
            raise failure
        effect()
        if number == self.at:
            raise failure


class Outside:
    """Consent, subscribers and the bus, as they would stand: acts by idempotency key, events by id."""

    partitions = 4

    def __init__(self, breaking: Breaking | None = None) -> None:
        self.breaking = breaking or Breaking()
        self.acts: dict[str, str] = {}
        self.events: set[bytes] = set()
        self.withdrawn: list[str] = []
        self.refused = ""

    async def of_message(self, sent: SentMessage, address: str = "") -> About | None:
        await self.breaking(lambda: None, Unavailable("away"))
        return About("ten_1", sent.campaign_id, "", ADDRESS_KEY, "sub_1")

    async def provider_of(self, about: About) -> str:
        return "b.example"

    async def of_token(self, token: str) -> About | None:
        return About("ten_1", CAMPAIGN, "", ADDRESS_KEY, "")

    async def withdraw(self, token: str) -> None:
        self.withdrawn.append(token)

    async def stop(self, about: About, act: str, key: str) -> None:
        if key == self.refused:
            raise Invalid("not this one")
        await self.breaking(lambda: self.acts.setdefault(key, act), Unavailable("away"))

    async def publish(self, records: list[Record]) -> list[int]:
        await self.breaking(lambda: self.events.update(record.headers["ce_id"] for record in records), BusUnavailable("away"))
        return [0] * len(records)


class BreakingCollection:
    """A collection, the writes of which may fail."""

    def __init__(self, collection: Collection, breaking: Breaking) -> None:
        self._collection = collection
        self._breaking = breaking

    def __getattr__(self, name: str) -> Any:
        return getattr(self._collection, name)

    async def insert(self, document: Any) -> None:
        await self._breaking(lambda: None, StoreUnavailable("away"))
        await self._collection.insert(document)

    async def replace(self, document: Any, *, version: int) -> Any:
        await self._breaking(lambda: None, StoreUnavailable("away"))
        return await self._collection.replace(document, version=version)


@asynccontextmanager
async def opened(state: Path) -> AsyncGenerator[Store]:
    store = open_store("sqlite:", "sending", state=str(state))
    await store.start([RECEIVED, SOFT_BOUNCES, PROVIDERS])
    yield store
    await store.close()


def received_in(store: Store, breaking: Breaking | None = None, now_us: Callable[[], int] = lambda: 1_800_000_000_000_000) -> Received:
    collection: Any = store.collection(RECEIVED.name)
    if breaking is not None:
        collection = BreakingCollection(collection, breaking)
    return Received(lambda: collection, OneKey(), now_us)


def providers_in(store: Store) -> Providers:
    return Providers(lambda: store.collection(PROVIDERS.name))


def acting(store: Store, outside: Any, breaking: Breaking | None = None) -> Acting:
    async def count(came_back: list[CameBack]) -> None:
        return None

    soft_bounces = SoftBounces(lambda: store.collection(SOFT_BOUNCES.name))
    return Acting(received_in(store, breaking), soft_bounces, providers_in(store), outside, outside, count)


async def no_report(tenant_id: str, mail: bytes) -> None:
    raise AssertionError("nothing here is one")


@asynccontextmanager
async def listening_to(take: Callable[[Proof, bytes], Any], **tls: str) -> AsyncGenerator[int]:
    async def answer(to: SentMessage, mail_from: str, content: bytes) -> str:
        raise AssertionError("nothing is answered")

    listener = Listener(Inbox("127.0.0.1", 0, "returns.example", **tls), PATHS, take, no_report, answer)
    running = asyncio.create_task(listener.run())
    while not listener.port:
        await asyncio.sleep(0.01)
    yield listener.port
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def sent(port: int, mail: bytes, to: str = PATH) -> int:
    """The code of the reply."""

    def send() -> int:
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as server:
            try:
                server.sendmail("", [to], mail)
            except smtplib.SMTPRecipientsRefused as refused:
                return refused.recipients[to][0]
            except smtplib.SMTPResponseException as refused:
                return refused.smtp_code
            return 250

    return await asyncio.to_thread(send)
