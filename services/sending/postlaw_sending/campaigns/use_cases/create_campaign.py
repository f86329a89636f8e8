"""A draft: its templates compile, its list exists, its sender can be mailed from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol

from postlaw_common.caller import current
from postlaw_common.errors import FieldError, Invalid, NotFound
from postlaw_common.ids import new_id
from postlaw_common.made_once import RequestKey, fingerprint
from postlaw_sending.campaigns.campaigns import Campaigns
from postlaw_sending.campaigns.clients import Subscribers
from postlaw_sending.campaigns.contexts import Contexts
from postlaw_sending.campaigns.domain.ab_test import AbTest, Measure, Variant, wrong_shares
from postlaw_sending.campaigns.domain.campaign import Campaign, Sender, Template
from postlaw_sending.campaigns.domain.ruling import COMMERCIAL, MessageFacts
from postlaw_sending.messages.text_of_html import text_or_made
from postlaw_sending.silence.domain import wrong_rule
from postlaw_sending.tracking.domain import NO_TRACKING, Tracking
from postlaw_sending.tracking.rewriting import links_in


class Words(Protocol):
    """An approved version of a template, as far as a campaign takes it on."""

    @property
    def template(self) -> Template: ...
    @property
    def message(self) -> MessageFacts: ...


_LONGEST_TEST_US = 7 * 24 * 3600 * 1_000_000

# By customer and team address.
AnswersReach = Callable[[str, str], Awaitable[bool]]

# By id, version and customer. Raises NotFound, Conflict.
ApprovedWords = Callable[[str, int, str], Awaitable[Words]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A draft as a customer asks for it: with words of its own (`template` and `message`), or with those of a named template's
    version. None and "": not given. `message` states what the law is told.
    Of an `ab_test`, what a variant's words leave out is the campaign's own."""

    name: str
    list_id: str
    sender: Sender
    template: Template | None
    message: MessageFacts | None
    template_id: str = ""
    template_version: int = 0
    idempotency_key: str = ""
    messages_per_hour: int = 0
    ab_test: AbTest | None = None
    mail_unknown_again: bool = False
    tracking: Tracking = NO_TRACKING
    forward_answers_to: str = ""
    leave_out_silent_days: int = 0


class CreateCampaign:
    """`check` compiles the campaign's messages and raises Invalid, naming each wrong field. `answers_reach`: whether somebody reads what is
    passed on to a customer's team address."""

    def __init__(
        self,
        campaigns: Campaigns,
        subscribers: Subscribers,
        contexts: Callable[[], Contexts],
        approved: ApprovedWords,
        check: Callable[[Campaign], object],
        now_us: Callable[[], int],
        answers_reach: AnswersReach,
    ) -> None:
        self._answers_reach = answers_reach
        self._campaigns = campaigns
        self._subscribers = subscribers
        self._contexts = contexts
        self._approved = approved
        self._check = check
        self._now_us = now_us

    async def __call__(self, asked: Asked) -> Campaign:
        """Raises Invalid (also for a list or a template that does not exist), Conflict where the template is not approved, KeyReused,
        Unavailable."""
        caller = current()
        campaign_id = new_id("cmp")
        if asked.messages_per_hour < 0:
            wrong = FieldError("messages_per_hour", "give how many at most, or leave it out")
            raise Invalid("A campaign cannot go at that pace.", fields=[wrong])
        template, message = await self._words(asked, caller.tenant_id)
        if wrong_fields := wrong_rule(asked.leave_out_silent_days, asked.tracking, marketing=message.is_marketing):
            fields = [FieldError(name, what) for name, what in wrong_fields.items()]
            raise Invalid("The campaign cannot leave out the silent so.", fields=fields)
        ab_test = _ab_test(asked, template)
        list_name, brand = await self._list_named(asked.list_id, campaign_id)
        campaign = Campaign(
            campaign_id=campaign_id,
            tenant_id=caller.tenant_id,
            name=asked.name,
            list_id=asked.list_id,
            list_name=list_name,
            sender=asked.sender,
            template=template,
            message=message,
            created_at_us=self._now_us(),
            brand=brand,
            template_id=asked.template_id,
            template_version=asked.template_version,
            messages_per_hour=asked.messages_per_hour,
            ab_test=ab_test,
            mail_unknown_again=asked.mail_unknown_again,
            forward_answers_to=asked.forward_answers_to,
            leave_out_silent_days=asked.leave_out_silent_days,
        )
        await self._refuse_lost_answers(campaign)
        if asked.tracking.on:
            links = links_in(words.template.html for words in campaign.in_variants)
            campaign = replace(campaign, tracking=replace(asked.tracking, links=links))
        for words in campaign.in_variants:
            self._check(words)
        sender = asked.sender
        said = [asked.name, asked.list_id, sender.name, sender.address, sender.postal_address]
        said += [template.subject, template.html, template.text, message.message_class, *message.states]
        if sender.reply_to:
            said.append(f"reply to {sender.reply_to}")
        if asked.template_id:
            said += [asked.template_id, str(asked.template_version)]
        said += [image.digest for image in template.images]
        if asked.messages_per_hour:
            said.append(f"{asked.messages_per_hour} an hour")
        if ab_test is not None:
            said.append(f"A/B {ab_test}")
        if asked.mail_unknown_again:
            said.append("unknown again")
        if asked.tracking.on:
            said.append(f"tracking {asked.tracking}")
        if asked.forward_answers_to:
            said.append(f"answers to {asked.forward_answers_to}")
        if asked.leave_out_silent_days:
            said.append(f"silent {asked.leave_out_silent_days}")
        key = RequestKey(caller.tenant_id, asked.idempotency_key)
        return await self._campaigns.insert(campaign, caller.actor, key, fingerprint(*said))

    async def _words(self, asked: Asked, tenant_id: str) -> tuple[Template, MessageFacts]:
        _refuse_two_sources(asked)
        if asked.template is not None:
            template = replace(asked.template, text=text_or_made(asked.template.text, asked.template.html))
            return template, asked.message or MessageFacts()
        try:
            words = await self._approved(asked.template_id, asked.template_version, tenant_id)
        except NotFound as missing:
            wrong = FieldError("template_id", missing.detail)
            raise Invalid("The campaign names a template that does not exist.", fields=[wrong]) from missing
        return words.template, words.message

    async def _refuse_lost_answers(self, campaign: Campaign) -> None:
        to = campaign.forward_answers_to
        if not to:
            return
        wrong: list[FieldError] = []
        if campaign.sender.reply_to:
            wrong.append(FieldError("forward_answers_to", "give this or sender.reply_to: answers go to one of them"))
        if not await self._answers_reach(campaign.tenant_id, to):
            wrong.append(FieldError("forward_answers_to", "is no team address that somebody has confirmed"))
        if wrong:
            raise Invalid("Answers to the campaign would reach nobody.", fields=wrong)

    async def _list_named(self, list_id: str, campaign_id: str) -> tuple[str, str]:
        # In our own name: whoever may write campaigns need not have the right to read lists.
        caller = current()
        purpose = f"campaign {campaign_id}"
        async with self._contexts().acting(caller.tenant_id, caller.on_behalf_of or caller.actor, ("lists:read",), purpose):
            try:
                return await self._subscribers.list_named(list_id)
            except NotFound as missing:
                wrong = FieldError("list_id", "there is no such list; create it first")
                raise Invalid("The campaign has no list to go to.", fields=[wrong]) from missing


def _ab_test(asked: Asked, template: Template) -> AbTest | None:
    """With whole words for each variant. Raises Invalid."""
    test = asked.ab_test
    if test is None:
        return None
    wrong: list[FieldError] = []
    if asked.template_id:
        wrong.append(FieldError("ab_test", "leave it out: what an approved template says is not changed"))
    if said := wrong_shares([variant.share for variant in test.variants]):
        wrong.append(FieldError("ab_test.variants", said))
    if bool(test.measure) != bool(test.decide_after_us):
        wrong.append(FieldError("ab_test.decide_after_minutes", "belongs to a measure, and a measure to it: give both, or neither"))
    if (test.measure is Measure.CLICKS and not asked.tracking.clicks) or (test.measure is Measure.OPENS and not asked.tracking.opens):
        wrong.append(FieldError("ab_test.measure", f"needs tracking.{test.measure}, or nothing is measured: say it, or choose by hand"))
    if not 0 <= test.decide_after_us <= _LONGEST_TEST_US:
        wrong.append(FieldError("ab_test.decide_after_minutes", "give a week at most"))
    if test.winner:
        wrong.append(FieldError("ab_test.winner", "is chosen once the campaign is sent"))
    if wrong:
        raise Invalid("The campaign's A/B test is not one.", fields=wrong)
    return replace(test, variants=tuple(Variant(_words_of(variant.template, template), variant.share) for variant in test.variants))


def _words_of(variant: Template, campaign: Template) -> Template:
    subject = variant.subject or campaign.subject
    if not variant.html and not variant.text:
        return replace(campaign, subject=subject)
    return Template(subject, variant.html, text_or_made(variant.text, variant.html))


def _refuse_two_sources(asked: Asked) -> None:
    """Words, class and states come from one place. What nobody has approved may rest on nothing but the law of advertising."""
    wrong: list[FieldError] = []
    if asked.template_id:
        named = "leave it out: it is the named template's"
        wrong += [
            FieldError(field, named) for field, given in (("template", asked.template), ("message", asked.message)) if given is not None
        ]
        if asked.template_version < 1:
            wrong.append(FieldError("template_version", "which version of the template? Give its number"))
    else:
        if asked.template is None:
            wrong.append(FieldError("template", "give a template, or name an approved one by template_id and template_version"))
        if asked.template_version:
            wrong.append(FieldError("template_version", "belongs to a template_id, which is not given"))
        if asked.message is not None and asked.message.message_class != COMMERCIAL:
            wrong.append(
                FieldError("message.message_class", "a campaign's own template is commercial: for another class, name an approved template")
            )
    if wrong:
        raise Invalid("The campaign's words are not said once.", fields=wrong)
