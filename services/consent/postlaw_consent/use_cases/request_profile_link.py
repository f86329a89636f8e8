"""A person asks for a link to what is kept of them, and it is mailed; so is the link that confirms a new address.

It goes to the address itself, never to whoever has an unsubscribe link: that may have been forwarded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from postlaw_common.errors import NotFound
from postlaw_common.ids import new_id
from postlaw_common.telemetry import get_logger
from postlaw_consent.confirmation_caps import ConfirmationCaps
from postlaw_consent.domain.profile_link import LinkKind, ProfileLink
from postlaw_consent.domain.scope import belonging
from postlaw_consent.ledger import Ledger
from postlaw_consent.profile_links import ProfileLinks
from postlaw_consent.tokens import Tokens
from postlaw_consent.use_cases.carried_out import IN_HAND_US
from postlaw_consent.use_cases.get_decisions import GetDecisions
from postlaw_consent.use_cases.profile_links import Profiles
from postlaw_consent.use_cases.single_mail import CONFIRMING, TRANSACTIONAL, Mail, Template, decide_on
from postlaw_consent.use_cases.standing_no import StandingNo

_TEMPLATES: dict[LinkKind, Template] = {"details": "change_details", "address": "confirm_address"}
_ASKED = {"details": TRANSACTIONAL, "address": CONFIRMING}

log = get_logger(__name__)


class RequestProfileLink:
    def __init__(
        self, opt_out_tokens: Tokens, links: ProfileLinks, begun: Callable[[ProfileLink], None], now_us: Callable[[], int]
    ) -> None:
        """`begun` is told of each, to have it done at once."""
        self._opt_out_tokens = opt_out_tokens
        self._links = links
        self._begun = begun
        self._now_us = now_us

    async def __call__(self, token: str, language: str) -> None:
        """Returns once it is durable; the same work whatever becomes of it. Raises Invalid of type `bad-token`, StoreUnavailable."""
        optout = await self._opt_out_tokens.open(token)
        now = self._now_us()
        link = ProfileLink(
            id=new_id("pfl"),
            kind="details",
            tenant_id=optout.tenant_id,
            address_key=optout.address_key,
            scope=optout.scope,
            campaign_id=optout.campaign_id,
            language=language,
            at_us=now,
            due_us=now + IN_HAND_US,
        )
        await self._links.begin(link)
        self._begun(link)


class MailProfileLink:
    """One link's mail. May be done twice: it is known again by the link's id."""

    def __init__(
        self,
        profiles: Profiles,
        ledger: Ledger,
        decide: GetDecisions,
        standing_no: StandingNo,
        caps: ConfirmationCaps,
        link_tokens: Tokens,
        opt_out_tokens: Tokens,
        send: Callable[[Mail], Awaitable[None]],
        public_url: str,
        now_us: Callable[[], int],
    ) -> None:
        self._profiles = profiles
        self._ledger = ledger
        self._decide = decide
        self._standing_no = standing_no
        self._caps = caps
        self._link_tokens = link_tokens
        self._opt_out_tokens = opt_out_tokens
        self._send = send
        self._public_url = public_url.rstrip("/")
        self._now_us = now_us

    async def __call__(self, link: ProfileLink) -> None:
        """Raises Invalid where nothing will ever come of it (such as an address that is none); whatever else it raises, try again."""
        if link.state(self._now_us()) != "open":
            return
        try:
            address = link.address or (await self._profiles.profile(link.tenant_id, link.address_key)).address
            sender = await self._profiles.sender(link.tenant_id, link.campaign_id)
            if link.kind == "address":
                await self._profiles.resolve(link.tenant_id, address, opening=True)
            belongs = belonging(link.scope, await self._profiles.brand(link.tenant_id, link.scope))
        except NotFound:
            return  # nobody is known by it any more
        if sender is None:
            log.warning("a link to somebody's details has no sender: the customer has no contact that is an address", tenant=link.tenant_id)
            return
        decisions, allowed = await decide_on(
            self._decide, self._ledger, _ASKED[link.kind], link.tenant_id, belongs, link.address_key, link.id
        )
        if not allowed or (link.kind == "address" and await self._standing_no(link.tenant_id, belongs, link.address_key, confirming=True)):
            return  # whoever typed somebody's address may not have them mailed against their no
        if not await self._caps.take(address, link.tenant_id, link.id, self._now_us()):
            return
        [token] = self._link_tokens.mint(link.tenant_id, link.scope, link.id, [link.address_key])
        [stop] = self._opt_out_tokens.mint(link.tenant_id, link.scope, "", [link.address_key])
        await self._send(
            Mail(
                key=link.id,
                tenant_id=link.tenant_id,
                template=_TEMPLATES[link.kind],
                language=link.language,
                sender=sender,
                belongs=belongs,
                address_key=link.address_key,
                address=address,
                action_url=f"{self._public_url}/p/{token.decode('ascii')}",
                opt_out_token=stop,
                decisions=decisions,
            )
        )
