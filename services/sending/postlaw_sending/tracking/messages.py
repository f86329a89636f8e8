"""A campaign's messages, each tracked as far as its recipient allows: whoever allows nothing gets the links as they were written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from postlaw_sending.campaigns.domain.campaign import Campaign
from postlaw_sending.messages.campaign import CompiledCampaign
from postlaw_sending.messages.campaign import Recipient as ToRender
from postlaw_sending.tracking.domain import CLICKS, OPENS
from postlaw_sending.tracking.rewriting import led, with_pixel
from postlaw_sending.tracking.tokens import Tokens

# A recipient's own value of that name never comes here: ours is laid over theirs.
_NAME = "postlaw_token"
FORMS = range((OPENS | CLICKS) + 1)

Compile = Callable[[Campaign], CompiledCampaign]


class Recipient(ToRender, Protocol):
    @property
    def tracking(self) -> int: ...


class _WithToken:
    """A recipient whose fields hold their token, too."""

    __slots__ = ("address", "address_key", "fields", "footer", "opt_out_token", "refusals", "subscriber_id")

    def __init__(self, recipient: ToRender, fields: Mapping[str, str]) -> None:
        self.address_key = recipient.address_key
        self.subscriber_id = recipient.subscriber_id
        self.address = recipient.address
        self.opt_out_token = recipient.opt_out_token
        self.footer = recipient.footer
        self.fields = fields
        self.refusals: Sequence[str] = ()


class TrackedCampaign:
    """As a compiled campaign. `forms`: one by what a recipient allows (domain.py)."""

    def __init__(self, campaign: Campaign, forms: Sequence[CompiledCampaign], tokens: Tokens, now_us: Callable[[], int]) -> None:
        self._campaign_id = campaign.campaign_id
        self._forms = forms
        self._asked = campaign.tracking.asked
        self._tokens = tokens
        self._now_us = now_us
        self.sender_domain = forms[0].sender_domain
        self.envelope_from = forms[0].envelope_from

    def render(self, recipient: Recipient) -> bytes:
        """Raises RenderFailed."""
        allowed = recipient.tracking & self._asked
        if not allowed:
            return self._forms[0].render(recipient)
        fields = dict(recipient.fields)
        fields[_NAME] = self._tokens.of(self._campaign_id, self._now_us() // 1_000_000, recipient.address_key)
        return self._forms[allowed].render(_WithToken(recipient, fields))


def tracked(
    campaign: Campaign, compile: Compile, tokens: Tokens, links_at: str, now_us: Callable[[], int]
) -> CompiledCampaign | TrackedCampaign:
    """The campaign as it is mailed. One that asks for nothing, or has no HTML, is compiled as ever. Raises Invalid."""
    if not campaign.tracking.on or not campaign.template.html.strip():
        return compile(campaign)
    base = links_at.rstrip("/")
    made: dict[str, CompiledCampaign] = {}

    def form(allowed: int) -> CompiledCampaign:
        page = _page(campaign, allowed, tokens, base)
        if page not in made:
            made[page] = compile(replace(campaign, template=replace(campaign.template, html=page)))
        return made[page]

    return TrackedCampaign(campaign, [form(allowed & campaign.tracking.asked) for allowed in FORMS], tokens, now_us)


def _page(campaign: Campaign, allowed: int, tokens: Tokens, base: str) -> str:
    page, asked = campaign.template.html, campaign.tracking
    if allowed & CLICKS:
        page = led(page, asked.links, lambda number: f"{base}/l/{number}/{{{{ {_NAME} }}}}")
    elif asked.counts:
        nobodys = tokens.of(campaign.campaign_id, 0)
        page = led(page, asked.links, lambda number: f"{base}/l/{number}/{nobodys}")
    return with_pixel(page, f"{base}/o/{{{{ {_NAME} }}}}.gif") if allowed & OPENS else page
