"""The whole mesh, its mail caught, a customer with a list, and people who come to the customer's form."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.consent.v1.consent_pb2_grpc import ConsentServiceStub
from postlaw.identity.v1 import identity_pb2
from postlaw.identity.v1.identity_pb2_grpc import IdentityServiceStub
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw.sending.v1.sending_pb2_grpc import SendingServiceStub
from postlaw.subscribers.v1 import subscribers_pb2 as subscribers
from postlaw.subscribers.v1.subscribers_pb2_grpc import SubscribersServiceStub
from postlaw_common.testing.mesh import Mesh, mesh
from postlaw_common.testing.patience import PATIENCE_S, patience
from postlaw_mesh.builders import builders
from postlaw_mesh.catcher import Catcher
from postlaw_mesh.dev import relay_on_loopback

SCOPES = (
    "lists:write", "subscribers:write", "subscribers:read", "consents:read", "consents:write", "campaigns:write", "campaigns:launch",
    "campaigns:read", "domains:read", "domains:write",
)  # fmt: skip
WORDING = "Yes, send me the weekly news of Acme by e-mail."
HELD = ["affirmative_act", "contact_shown", "purpose", "requester_named", "separate", "withdrawal_info"]
ATTESTED = subscribers.ImportConsent(source="shop", wording=WORDING, attested_by="Ada Example", held=HELD, territories=["IE"])
_TOKEN = re.compile(r'name="token" value="([^"]+)"')


@dataclass
class Clock:
    """The mesh's, which a test may put forward."""

    ahead_us: int = 0

    def __call__(self) -> int:
        return time.time_ns() // 1000 + self.ahead_us

    def forward(self, seconds: float) -> None:
        self.ahead_us += int(seconds * 1e6)


@dataclass
class Acme:
    """One customer."""

    mesh: Mesh
    http: httpx.AsyncClient
    catcher: Catcher
    clock: Clock
    tenant_id: str
    list_id: str = ""
    forms: dict[bool, str] = field(default_factory=dict[bool, str])

    def stub(self, make: Any, service: str) -> Any:
        return make(self.mesh.channel(service, caller=self.mesh.caller(self.tenant_id, SCOPES)))

    @property
    def consent(self) -> Any:
        return self.stub(ConsentServiceStub, "consent")

    async def form(self, *, single: bool = False) -> str:
        """The id of a form for the list."""
        if single not in self.forms:
            request = consent.CreateFormRequest(
                list_id=self.list_id,
                language="en",
                wording=WORDING,
                purposes=["Weekly news"],
                single_opt_in=single,
                sender=consent.FormSender(name="Acme", address="news@acme.example", postal_address="1 High Street, Dublin"),
                territories=["IE"],
            )
            self.forms[single] = (await self.consent.CreateForm(request)).form_id
        return self.forms[single]

    async def sign_up(self, address: str, *, single: bool = False, **changed: str) -> httpx.Response:
        """As a browser does it: looks at the form, takes a while, and sends it."""
        path = f"/f/{await self.form(single=single)}"
        page = await self.http.get(path)
        found = _TOKEN.search(page.text)
        assert found is not None
        self.clock.forward(3)
        return await self.http.post(path, data={"token": found[1], "address": address, "agreed": "yes", **changed})

    async def settled(self) -> None:
        """Returns once nothing that anybody sent with a form is still to be done."""
        store = self.mesh.running.backing.store("consent")
        async with patience():
            while await store.collection("sign_ups").count():
                await asyncio.sleep(0.05)

    async def mail_to(self, address: str, number: int = 1) -> EmailMessage:
        """The person's mail of this number, once it has come."""
        return await mail_to(self.catcher, address, number)

    def mails_to(self, address: str) -> list[EmailMessage]:
        return mails_to(self.catcher, address)

    async def kinds(self, address: str) -> list[str]:
        """Of the person's events, in order."""
        events = await self.events(address)
        return [consent.ConsentEvent.Kind.Name(event.kind).removeprefix("KIND_").lower() for event in events]

    async def events(self, address: str) -> list[consent.ConsentEvent]:
        person = await self.stub(SubscribersServiceStub, "subscribers").ResolvePerson(subscribers.ResolvePersonRequest(address=address))
        return list((await self.consent.ListConsentEvents(consent.ListConsentEventsRequest(address_key=person.address_key))).events)

    async def campaign(
        self, html: str = "", tracking: sending.Tracking | None = None, forward_answers_to: str = "", subject: str = "The news"
    ) -> sending.Campaign:
        """Sends one to the list; as it is when it has finished."""
        stub = self.stub(SendingServiceStub, "sending")
        drafted = await stub.CreateCampaign(
            sending.CreateCampaignRequest(
                name="Weekly",
                list_id=self.list_id,
                sender=sending.Sender(name="Acme", address="news@acme.example", postal_address="1 High Street, Dublin"),
                template=sending.Template(subject=subject, text="News.", html=html),
                tracking=tracking,
                forward_answers_to=forward_answers_to,
            )
        )
        asked = sending.GetCampaignRequest(campaign_id=drafted.campaign_id)
        await stub.LaunchCampaign(asked)
        async with patience():
            while (found := await stub.GetCampaign(asked)).status != sending.Campaign.STATUS_FINISHED:
                await asyncio.sleep(0.05)
        return found


async def imported(customer: Acme, rows: bytes, **settings: Any) -> subscribers.Import:
    """A file, once it is in. `settings`: ImportSettings' fields."""

    async def requests() -> AsyncIterator[subscribers.CreateImportRequest]:
        yield subscribers.CreateImportRequest(settings=subscribers.ImportSettings(**settings))
        yield subscribers.CreateImportRequest(chunk=rows)

    stub = customer.stub(SubscribersServiceStub, "subscribers")
    asked = subscribers.GetImportRequest(import_id=(await stub.CreateImport(requests())).import_id)
    async with patience():
        while (found := await stub.GetImport(asked)).state != subscribers.Import.STATE_DONE:
            assert found.state != subscribers.Import.STATE_FAILED, found.failure
            await asyncio.sleep(0.05)
    return found


def mails_to(catcher: Catcher, address: str) -> list[EmailMessage]:
    return [email.message_from_bytes(mail.message, policy=email.policy.default) for mail in catcher.last if mail.recipients == [address]]


async def mail_to(catcher: Catcher, address: str, number: int = 1) -> EmailMessage:
    """The person's mail of this number, once it has come."""
    async with patience():
        while len(mails_to(catcher, address)) < number:
            await asyncio.sleep(0.05)
    return mails_to(catcher, address)[number - 1]


def link_in(mail: EmailMessage, part: str) -> str:
    """The path of the link in the mail that begins with this part, such as /c/."""
    found = re.search(rf"https?://[^/\s]+({part}[A-Za-z0-9_-]+)", mail.get_content())
    assert found is not None
    return found[1]


@asynccontextmanager
async def acme(state: Path, **sending_settings: object) -> AsyncGenerator[Acme]:
    """`sending_settings`: further fields of SendingSettings."""
    clock, catcher = Clock(), Catcher()
    port = await catcher.start()
    services = builders(sending=relay_on_loopback("127.0.0.1", port).model_copy(update=sending_settings)).values()
    async with (
        mesh(state, list(services), now_us=clock) as m,
        httpx.AsyncClient(base_url=m.http_url(), headers={"accept": "text/html"}, timeout=PATIENCE_S) as http,
    ):
        yield await another(Acme(m, http, catcher, clock, ""), "Acme")
    await catcher.stop()


async def another(first: Acme, name: str) -> Acme:
    """A customer of the same mesh."""
    m = first.mesh
    operator: Any = IdentityServiceStub(m.channel("identity", as_service="operator", caller=m.caller("", ["platform:admin"])))
    stands = identity_pb2.SenderIdentity(territory="IE", time_zone="Europe/Dublin", contact="hello@acme.example")
    made = await operator.CreateTenant(
        identity_pb2.CreateTenantRequest(name=name, postal_address="1 High Street, Dublin", sender_identity=stands)
    )
    customer = Acme(m, first.http, first.catcher, first.clock, made.tenant_id)
    made_list = await customer.stub(SubscribersServiceStub, "subscribers").CreateList(subscribers.CreateListRequest(name="Weekly"))
    customer.list_id = made_list.list_id
    return customer
