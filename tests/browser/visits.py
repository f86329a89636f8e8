"""Who visits the public pages, and what is asked of every page."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from itertools import count
from typing import Any, Literal

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, ViewportSize

from libs.mesh.tests.signing_up import link_in, mail_to
from postlaw.consent.v1 import consent_pb2
from postlaw.consent.v1.consent_pb2_grpc import ConsentServiceStub
from postlaw.identity.v1 import identity_pb2
from postlaw.identity.v1.identity_pb2_grpc import IdentityServiceStub
from postlaw.subscribers.v1 import subscribers_pb2
from postlaw.subscribers.v1.subscribers_pb2_grpc import SubscribersServiceStub
from postlaw_common.testing.mesh import Mesh
from postlaw_mesh.catcher import Catcher

LIST_NAME = "Neuigkeiten für Donaudampfschifffahrtsgesellschaftskapitäne"
TOPIC = "Kapitänsmützen"
SENDER = "Möbel <Maier> & Söhne"
POSTAL_ADDRESS = "Hauptstraße 1, 8010 Graz, Austria"
CONTACT = "servus@maier.example"
SCOPES = ("lists:read", "lists:write", "subscribers:read", "subscribers:write", "consents:read", "consents:write")

PHONE, SMALLEST = ViewportSize(width=390, height=844), ViewportSize(width=320, height=640)
SMALLEST_TARGET = 44  # CSS pixels
_EVERY_RULE = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "resultTypes": ["violations", "incomplete"],
}
_addresses = count()


@dataclass(frozen=True, slots=True)
class Person:
    """`link`: the whole address of their own unsubscribe page."""

    subscriber_id: str
    link: str
    address: str


@dataclass(frozen=True, slots=True)
class Mailing:
    """A customer with one list, and whom it mails."""

    mesh: Mesh
    catcher: Catcher
    tenant_id: str
    list_id: str

    def _stub(self, make: Any, service: str) -> Any:
        return make(self.mesh.channel(service, caller=self.mesh.caller(self.tenant_id, SCOPES)))

    async def form(self) -> consent_pb2.Form:
        """A new one for the list, with double opt-in."""
        asked = consent_pb2.CreateFormRequest(
            list_id=self.list_id,
            language="de",
            wording="Ja, schicken Sie mir die Neuigkeiten.",
            purposes=["Neuigkeiten"],
            sender=consent_pb2.FormSender(name=SENDER, address="servus@maier.example", postal_address="Hauptstraße 1, 8010 Graz"),
        )
        return await self._stub(ConsentServiceStub, "consent").CreateForm(asked)

    async def retire(self, form: consent_pb2.Form) -> None:
        await self._stub(ConsentServiceStub, "consent").RetireForm(consent_pb2.GetFormRequest(form_id=form.form_id))

    async def signed_up(self, form: consent_pb2.Form) -> tuple[str, str]:
        """Somebody new signs up on it: (the link to confirm, the link to stop), as their mail has them."""
        address = f"jane{next(_addresses)}@example.com"
        await self._stub(ConsentServiceStub, "consent").SignUp(consent_pb2.SignUpRequest(form_id=form.form_id, address=address))
        mail = await self.mail_to(address)
        return f"{self.mesh.http_url()}{link_in(mail, '/c/')}", f"{self.mesh.http_url()}{link_in(mail, '/u/')}"

    async def mail_to(self, address: str, number: int = 1) -> EmailMessage:
        """The person's mail of this number, once it has come."""
        return await mail_to(self.catcher, address, number)

    async def person(self) -> Person:
        address = f"jane{next(_addresses)}@example.com"
        put = subscribers_pb2.PutSubscriberRequest(address=address, list_ids=[self.list_id], fields={"first_name": "Jane", "score": "7"})
        made = await self._stub(SubscribersServiceStub, "subscribers").PutSubscriber(put)
        scope = consent_pb2.Scope(list_id=self.list_id)
        asked = consent_pb2.CreateOptOutLinkRequest(subscriber_id=made.subscriber_id, scope=scope)
        link = (await self._stub(ConsentServiceStub, "consent").CreateOptOutLink(asked)).url
        return Person(made.subscriber_id, f"{self.mesh.http_url()}/u/{link.rpartition('/')[2]}", address)

    async def details_link(self, address: str) -> str:
        """The link to their details, or to confirm this address, as their mail has it."""
        return f"{self.mesh.http_url()}{link_in(await self.mail_to(address), '/p/')}"

    async def profile(self, person: Person) -> subscribers_pb2.Subscriber:
        """As the customer sees it."""
        asked = subscribers_pb2.GetSubscriberRequest(subscriber_id=person.subscriber_id)
        return await self._stub(SubscribersServiceStub, "subscribers").GetSubscriber(asked)

    async def subscriber(self) -> Person:
        """Somebody who has consented to the list and to a topic."""
        person = await self.person()
        scopes = (consent_pb2.Scope(list_id=self.list_id), consent_pb2.Scope(topic=TOPIC))
        given = [consent_pb2.ConsentRecord(subscriber_id=person.subscriber_id, scope=scope) for scope in scopes]
        await self._stub(ConsentServiceStub, "consent").RecordConsents(consent_pb2.RecordConsentsRequest(consents=given))
        return person

    async def events(self, person: Person) -> list[consent_pb2.ConsentEvent]:
        """What stands in the ledger about them."""
        asked = consent_pb2.ListConsentEventsRequest(subscriber_id=person.subscriber_id)
        return list((await self._stub(ConsentServiceStub, "consent").ListConsentEvents(asked)).events)


async def customer(m: Mesh, catcher: Catcher) -> Mailing:
    operator: Any = IdentityServiceStub(m.channel("identity", as_service="operator", caller=m.caller("", ["platform:admin"])))
    stands = identity_pb2.SenderIdentity(territory="AT", time_zone="Europe/Vienna", contact=CONTACT)
    tenant = await operator.CreateTenant(
        identity_pb2.CreateTenantRequest(name=SENDER, postal_address=POSTAL_ADDRESS, sender_identity=stands)
    )
    subscribers: Any = SubscribersServiceStub(m.channel("subscribers", caller=m.caller(tenant.tenant_id, SCOPES)))
    made = await subscribers.CreateList(subscribers_pb2.CreateListRequest(name=LIST_NAME))
    shown = subscribers_pb2.SetProfileFieldsRequest(list_id=made.list_id, profile_fields=["first_name", "Donaudampfschifffahrtskennung"])
    await subscribers.SetProfileFields(shown)
    return Mailing(m, catcher, tenant.tenant_id, made.list_id)


@asynccontextmanager
async def visit(
    browser: Browser,
    *,
    language: str = "en",
    scheme: Literal["light", "dark"] = "light",
    size: ViewportSize = PHONE,
    scripts: bool = False,
) -> AsyncGenerator[Page]:
    """A fresh browser. When it leaves, it has no cookie, and has asked nobody but us."""
    context = await browser.new_context(locale=language, color_scheme=scheme, viewport=size, java_script_enabled=scripts)
    asked: set[str] = set()
    context.on("request", lambda request: asked.add("/".join(request.url.split("/")[:3])))
    try:
        page = await context.new_page()
        yield page
        assert await context.cookies() == []
        assert len(asked) <= 1, asked
    finally:
        await context.close()


async def barriers(page: Page) -> list[str]:
    """What keeps somebody out: what axe finds or cannot tell, targets that a thumb would miss, and what runs off the screen."""
    found = (await Axe().run(page, options=_EVERY_RULE)).response
    kept_out = [
        f"{kind}: {rule['id']} {[node['html'] for node in rule['nodes']]}" for kind in ("violations", "incomplete") for rule in found[kind]
    ]
    for target in await page.locator("a, button, input:not([type=hidden]), select, summary").all():
        box = await target.bounding_box()
        if box is None or min(box["width"], box["height"]) < SMALLEST_TARGET:
            kept_out.append(f"too small: {await target.inner_text()} {box}")
    beyond: int = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [*kept_out, f"{beyond} pixels beyond the edge"] if beyond else kept_out


async def focused(page: Page) -> tuple[str, float]:
    """(the text of what has the keyboard, how wide the line around it is)"""
    text: str = await page.evaluate("document.activeElement.innerText")
    outline: str = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    width: str = await page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    return text, float(width.removesuffix("px")) if outline not in ("none", "") else 0.0
