"""A person corrects what is kept of them behind a link that was mailed to them, and confirms a new address. Consent keeps the links;
subscribers has the profile, and changes it.

What the person consented to and stopped stays with the address for which they said it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from postlaw_common.errors import Conflict, Invalid, NotFound, VersionMismatch
from postlaw_consent.domain.form import FormSender
from postlaw_consent.domain.profile_link import LinkState, ProfileLink
from postlaw_consent.domain.scope import Scope
from postlaw_consent.profile_links import ProfileLinks
from postlaw_consent.tokens import Tokens
from postlaw_consent.use_cases.carried_out import IN_HAND_US
from postlaw_consent.use_cases.record_reached import RecordReached
from postlaw_consent.use_cases.sign_up import Person

Problem = Literal["", "stale", "address", "address_taken", "details"]

_CONFIRMED = b"confirmed"


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
