"""A person asks for a link to what is kept of them, corrects it there, and confirms a new address. Consent keeps the links; subscribers
has the profile, and changes it.

A link goes to the address itself, never to whoever has an unsubscribe link: that may have been forwarded. What the person consented to
and stopped stays with the address for which they said it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from postlaw_common.errors import Conflict, Invalid, NotFound, VersionMismatch
from postlaw_common.ids import new_id
from postlaw_common.telemetry import get_logger
from postlaw_consent.confirmation_caps import ConfirmationCaps
from postlaw_consent.domain.confirmation import suppressed
from postlaw_consent.domain.form import FormSender
from postlaw_consent.domain.profile_link import LinkKind, LinkState, ProfileLink
from postlaw_consent.domain.scope import Belongs, Scope, belonging
from postlaw_consent.ledger import Ledger
from postlaw_consent.profile_links import ProfileLinks
from postlaw_consent.tokens import Tokens
from postlaw_consent.use_cases.carried_out import IN_HAND_US
from postlaw_consent.use_cases.get_decisions import GetDecisions
from postlaw_consent.use_cases.record_reached import RecordReached
from postlaw_consent.use_cases.sign_up import Person
from postlaw_consent.use_cases.single_mail import CONFIRMING, TRANSACTIONAL, Mail, Template, decide_on

Problem = Literal["", "stale", "address", "address_taken", "details"]

_TEMPLATES: dict[LinkKind, Template] = {"details": "change_details", "address": "confirm_address"}
_ASKED = {"details": TRANSACTIONAL, "address": CONFIRMING}
_CONFIRMED = b"confirmed"

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Profile:
    """What a person sees of themselves. `details`: by name, in the order of the page."""

    subscriber_id: str
    address: str
    details: Mapping[str, str]
    version: int


class Profiles(Protocol):
    """Subscribers, in the person's own name, at a customer. Each raises PostlawError."""

    async def profile(self, tenant_id: str, address_key: bytes) -> Profile: ...
    async def correct(
        self, tenant_id: str, address_key: bytes, subscriber_id: str, details: Mapping[str, str], address: str, if_version: int
    ) -> None: ...
    async def resolve(self, tenant_id: str, address: str, *, opening: bool) -> Person:
        """`opening`: mail may begin, so whoever a suppression list names by a digest is stopped first."""
        ...

    async def brand(self, tenant_id: str, scope: Scope) -> str:
        """Of a scope that is a list; "" where it has none."""
        ...

    async def sender(self, tenant_id: str, campaign_id: str) -> FormSender | None:
        """Who wrote the message by whose link it was asked; else the customer, by a contact that is an address; else None."""
        ...


@dataclass(frozen=True, slots=True)
class Corrections:
    """As everything should be; a detail that is not named stays. `address` empty: it stays. `if_version`: of the person on the page."""

    details: Mapping[str, str] = field(default_factory=dict[str, str])
    address: str = ""
    if_version: int = 0
    language: str = ""

    def digest(self) -> bytes:
        return hashlib.sha256(json.dumps([sorted(self.details.items()), self.address]).encode()).digest()


@dataclass(frozen=True, slots=True)
class Shown:
    """Where a link leads now. `profile` and `address` (the one to be confirmed) while it is open. `done`: by this act, or by the same one
    before; `problem`: why nothing was done; `opt_out_token`: of the address that it went to, once it is used."""

    link: ProfileLink
    state: LinkState
    profile: Profile | None = None
    done: bool = False
    address_asked: bool = False
    problem: Problem = ""
    opt_out_token: str = ""


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
        if not allowed or (link.kind == "address" and await self._is_suppressed(link, belongs)):
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

    async def _is_suppressed(self, link: ProfileLink, belongs: Belongs) -> bool:
        await self._ledger.fence()
        history = await self._ledger.history(link.tenant_id, link.address_key)
        return suppressed([line.fact for line in history], belongs, confirming=True)


class UseProfileLink:
    def __init__(
        self,
        link_tokens: Tokens,
        opt_out_tokens: Tokens,
        links: ProfileLinks,
        profiles: Profiles,
        reached: RecordReached,
        begun: Callable[[ProfileLink], None],
        now_us: Callable[[], int],
    ) -> None:
        self._link_tokens = link_tokens
        self._opt_out_tokens = opt_out_tokens
        self._links = links
        self._profiles = profiles
        self._reached = reached
        self._begun = begun
        self._now_us = now_us

    async def describe(self, token: str) -> Shown:
        """Raises Invalid of type `bad-token`; Unavailable, where the person cannot be shown now."""
        return await self._shown(await self._look(token))

    async def __call__(self, token: str, wanted: Corrections) -> Shown:
        """Corrects, or confirms: once, however often the same is sent. Raises Invalid of type `bad-token`, Unavailable, StoreUnavailable:
        after the latter two, sending the same again is safe."""
        link = await self._look(token)
        if link.state(self._now_us()) == "expired":
            return Shown(link, "expired")
        try:
            return await (self._correct(link, wanted) if link.kind == "details" else self._confirm(link))
        except NotFound:
            return Shown(link, "expired")  # the person is gone

    async def _look(self, token: str) -> ProfileLink:
        opened = await self._link_tokens.open(token)
        link = await self._links.get(opened.campaign_id)
        if link is not None and (link.tenant_id, link.address_key) == (opened.tenant_id, opened.address_key):
            return link
        return ProfileLink(opened.campaign_id, "details", opened.tenant_id, opened.address_key, opened.scope, "", "", at_us=0)  # forgotten

    async def _shown(self, link: ProfileLink, *, problem: Problem = "") -> Shown:
        state = link.state(self._now_us())
        if state != "open":
            return Shown(link, state, opt_out_token=self._back(link) if state == "used" else "")
        if link.kind == "address":
            return Shown(link, state, problem=problem)
        try:
            return Shown(link, state, await self._profiles.profile(link.tenant_id, link.address_key), problem=problem)
        except NotFound:
            return Shown(link, "expired")

    async def _correct(self, link: ProfileLink, wanted: Corrections) -> Shown:
        use = wanted.digest()
        profile = await self._profiles.profile(link.tenant_id, link.address_key)
        moves: Person | None = None
        if wanted.address:
            try:
                person = await self._profiles.resolve(link.tenant_id, wanted.address, opening=False)
            except Invalid:
                return await self._shown(link, problem="address")
            moves = person if person.address_key != link.address_key else None
        taken = await self._links.take(link, use)
        if taken == "no":
            return Shown(link, "used", opt_out_token=self._back(link))
        if taken != "done":
            if problem := await self._try(link, profile, wanted):
                if taken == "begun":
                    return Shown(link, "used", opt_out_token=self._back(link))
                await self._links.give_back(link, use)
                return await self._shown(link, problem=problem)
            if moves is not None:
                await self._ask_the_new_address(link, profile, moves, wanted.language)
            await self._links.done(link, use)
        return Shown(link, "used", done=True, address_asked=moves is not None, opt_out_token=self._back(link))

    async def _try(self, link: ProfileLink, profile: Profile, wanted: Corrections) -> Problem:
        """Empty where it is done, or stands so already, as a repetition finds it."""
        if _stand(profile, wanted):
            return ""
        try:
            await self._profiles.correct(link.tenant_id, link.address_key, profile.subscriber_id, wanted.details, "", wanted.if_version)
        except VersionMismatch:
            now = await self._profiles.profile(link.tenant_id, link.address_key)
            return "" if _stand(now, wanted) else "stale"
        except Invalid:
            return "details"
        return ""

    async def _ask_the_new_address(self, link: ProfileLink, profile: Profile, moves: Person, language: str) -> None:
        now = self._now_us()
        asked = replace(
            link,
            id=f"{link.id}-to",
            kind="address",
            address_key=moves.address_key,
            address=moves.address,
            subscriber_id=profile.subscriber_id,
            language=language or link.language,
            at_us=now,
            used=b"",
            tries=0,
            version=1,
            due_us=now + IN_HAND_US,
        )
        await self._links.begin(asked)
        self._begun(asked)

    async def _confirm(self, link: ProfileLink) -> Shown:
        taken = await self._links.take(link, _CONFIRMED)
        if taken in ("now", "begun"):
            try:
                await self._profiles.correct(link.tenant_id, link.address_key, link.subscriber_id, {}, link.address, 0)
            except (Conflict, Invalid):
                await self._links.give_back(link, _CONFIRMED)
                return await self._shown(link, problem="address_taken")
            await self._reached(link.tenant_id, link.address_key, link.id, "address confirmation")
            await self._links.done(link, _CONFIRMED)
        return Shown(link, "used", done=True, opt_out_token=self._back(link))

    def _back(self, link: ProfileLink) -> str:
        [token] = self._opt_out_tokens.mint(link.tenant_id, link.scope, "", [link.address_key])
        return token.decode("ascii")


def _stand(profile: Profile, wanted: Corrections) -> bool:
    return all(profile.details.get(name) == value.strip() for name, value in wanted.details.items())
