"""Everything that is looked at before a launch, in order. What needs a part that is away is said not to have been looked at: it stops
no launch, for without subscribers nobody is in an audience, and without consent no message has a token or goes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final, Protocol, cast

from postlaw_common.caller import Caller, current
from postlaw_common.errors import Conflict, NotFound, PostlawError, Unavailable
from postlaw_sending.campaigns.clients import PAGE_SIZE, Consent, Page, Subscribers
from postlaw_sending.campaigns.contexts import Contexts
from postlaw_sending.campaigns.domain.campaign import Campaign
from postlaw_sending.campaigns.wire import job_batch, recipients
from postlaw_sending.checklist import audience_checks, message_checks
from postlaw_sending.checklist.audience_checks import Sample
from postlaw_sending.checklist.items import Item
from postlaw_sending.messages.campaign import CompiledCampaign, Recipient
from postlaw_sending.messages.footer import NUMBER_OF
from postlaw_sending.messages.templates import RenderFailed, Templates

LOOKED_AT: Final = 1_000  # people, at most
_RENDERED: Final = 20  # of them, whose messages are made
_LABELLED: Final = NUMBER_OF["listed", True]
_SCOPES: Final = ("audience:read", "decisions:read")

# Of a token: the customer's id and the list's.
DescribeToken = Callable[[bytes], Awaitable[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Preview:
    """Somebody who does not exist, where the list has nobody to render for."""

    fields: dict[str, str]
    footer: int = 0
    subscriber_id: str = "sub_preview"
    address: str = "preview@example.com"
    opt_out_token: bytes = b"preview"
    address_key: bytes = bytes(33)


_WORSE: Final = {"pass": 0, "warn": 1, "fail": 2}


class Compile(Protocol):
    def __call__(self, campaign: Campaign, /) -> CompiledCampaign: ...


@dataclass(frozen=True, slots=True)
class Checklist:
    """`check_template` raises NotFound or Conflict where the version that a campaign names is not approved, `may_send_from` Conflict
    where this customer may not mail from that address (None: from any). `answers_reach`: whether somebody reads what is passed on to a team
    address. `number_silent`: by customer and days, how many of these people gave no sign for longer. `second_opinion` raises nothing, and
    warns at most."""

    subscribers: Subscribers
    consent: Consent
    describe_token: DescribeToken
    contexts: Callable[[], Contexts]
    compile: Compile
    partitions: Callable[[], int]
    check_template: Callable[[Campaign], Awaitable[None]]
    may_send_from: Callable[[str, str], Awaitable[None]] | None
    answers_reach: Callable[[str, str], Awaitable[bool]]
    number_silent: Callable[[str, int, Sequence[bytes]], Awaitable[int]]
    second_opinion: Callable[[Campaign], Awaitable[Item | None]] | None = None

    async def __call__(self, campaign: Campaign) -> list[Item]:
        """`campaign`: with the contact, and the time of launch, that it has or would have now."""
        caller = current()
        sample, away = Sample(), ""
        try:
            await self._look(campaign, caller, sample)
        except Unavailable as unavailable:
            away = unavailable.detail
        compiled = self.compile(campaign)
        items = [
            await self._template(campaign),
            message_checks.sender(campaign),
            await self._answers(campaign),
            await self._domain(campaign),
            *self._of_all_words(campaign, sample),
        ]
        if self.second_opinion is not None and (opinion := await self.second_opinion(campaign)) is not None:
            items.append(opinion)
        if away:
            said = f"Could not be looked at: {away}"[:150]
            *others, silent = (Item(id, "warn", said, "Look again.") for id in ("audience", "fields", "unsubscribe", "long_silent"))
            return [*items, *others, silent if campaign.leave_out_silent_days else audience_checks.long_silent(0, 0, 0)]
        return [
            *items,
            audience_checks.audience(sample),
            audience_checks.fields(*_fields(campaign), sample),
            await self._unsubscribe(campaign, compiled, sample),
            await self._long_silent(campaign, sample),
        ]

    def _of_all_words(self, campaign: Campaign, sample: Sample) -> list[Item]:
        """Each item once; of an A/B test, as the first variant has it of which it does not pass."""
        worst: dict[str, Item] = {}
        for number, words in enumerate(campaign.in_variants, 1):
            for item in self._of_words(words, sample):
                said = replace(item, what=f"Variant {number}: {item.what}") if campaign.ab_test and item.state != "pass" else item
                if item.id not in worst or _WORSE[item.state] > _WORSE[worst[item.id].state]:
                    worst[item.id] = said
        return list(worst.values())

    def _of_words(self, campaign: Campaign, sample: Sample) -> list[Item]:
        compiled = self.compile(campaign)
        names = Templates(campaign.template.subject, campaign.template.text, campaign.template.html).names
        preview = Preview(dict.fromkeys(names, "sample"))
        readers: Sequence[Recipient] = sample.allowed[:_RENDERED] or [preview]
        rendered, failure = _rendered(compiled, readers)
        items = [_renders(len(rendered), len(readers), failure)]
        if rendered:
            first = message_checks.shown(rendered[0])
            largest = message_checks.shown(max(rendered, key=len))
            items += [
                message_checks.postal_address(campaign, first),
                message_checks.subject(campaign, str(first.headers["Subject"])),
                _label(compiled, replace(preview, footer=_LABELLED)),
                *message_checks.parts(largest),
                message_checks.links(first, ours=compiled.unsubscribe_at),
            ]
        return items

    async def _look(self, campaign: Campaign, caller: Caller, sample: Sample) -> None:
        """The first people of partition after partition: the hash that spreads people over them makes that a fair sample."""
        actor = caller.on_behalf_of or caller.actor
        async with self.contexts().acting(campaign.tenant_id, actor, _SCOPES, f"checklist of {campaign.campaign_id}"):
            for partition in range(self.partitions()):
                if len(sample.people) + PAGE_SIZE > LOOKED_AT:
                    return
                stream = cast("AsyncGenerator[Page]", self.subscribers.audience(campaign.list_id, partition, b""))
                async with aclosing(stream) as pages:
                    page = await anext(pages, None)
                if page is not None and page.address_keys:
                    await self._decide(campaign, partition, page, sample)

    async def _decide(self, campaign: Campaign, partition: int, page: Page, sample: Sample) -> None:
        answer = await self.consent.decide(campaign, partition, page.address_keys)
        sample.people += recipients(job_batch(page.people, answer.each, answer.rulings))
        sample.watched += answer.might_give_a_sign(page.address_keys)
        for decision in answer.each:
            verdict = answer.verdicts[decision.verdict]
            if verdict.allow:
                sample.bases.update(f"{regime}: {basis}" for regime, basis in verdict.bases.items())

    async def _template(self, campaign: Campaign) -> Item:
        try:
            await self.check_template(campaign)
        except Unavailable:
            raise
        except PostlawError as wrong:
            return Item("template", "fail", wrong.detail[:150], "Draft the campaign with an approved version.")
        said = "An approved version." if campaign.template_id else "The campaign's own, as advertising."
        return Item("template", "pass", said)

    async def _answers(self, campaign: Campaign) -> Item:
        to = campaign.forward_answers_to
        if not to:
            return message_checks.answers(campaign)
        if not await self.answers_reach(campaign.tenant_id, to):
            said = "The team address to which answers are passed on is gone, or nobody has confirmed it."
            return Item("answers", "fail", said, "Draft the campaign with one that is confirmed.")
        return Item("answers", "pass", "Answers are passed on to a confirmed address.")

    async def _domain(self, campaign: Campaign) -> Item:
        if self.may_send_from is None:
            return Item("domain", "warn", "Here any domain may be sent from.", "In production it must be verified.")
        try:
            await self.may_send_from(campaign.tenant_id, campaign.sender.address)
        except Conflict as unverified:
            return Item("domain", "fail", unverified.detail[:190])
        return Item("domain", "pass", "The sender's domain is verified.")

    async def _long_silent(self, campaign: Campaign, sample: Sample) -> Item:
        days = campaign.leave_out_silent_days
        silent = await self.number_silent(campaign.tenant_id, days, sample.watched) if days and sample.watched else 0
        return audience_checks.long_silent(days, len(sample.watched), silent)

    async def _unsubscribe(self, campaign: Campaign, compiled: CompiledCampaign, sample: Sample) -> Item:
        """One real link, as one of the sample would get it: it stands where it must, and is known as theirs where it leads."""
        if not sample.allowed:
            return Item("unsubscribe", "warn", "There is nobody whose link could be tried.", "Look again when there is.")
        person = sample.allowed[0]
        try:
            message = message_checks.shown(compiled.render(person))
            link = compiled.unsubscribe_at + person.opt_out_token.decode("ascii")
            known = await self.describe_token(person.opt_out_token)
        except RenderFailed as failed:
            return Item("unsubscribe", "warn", f"No message could be made: {failed.reason}", "See the item renders.")
        except NotFound:
            return Item("unsubscribe", "fail", "The unsubscribe link leads nowhere.", "Tell us: it should lead to the list.")
        except Unavailable as away:
            return Item("unsubscribe", "warn", f"Could not be looked at: {away.detail}"[:150], "Look again.")
        if missing := list(message_checks.unsubscribe_shown(message, link)):
            return Item("unsubscribe", "fail", f"The way to stop is missing in {', '.join(missing)}.", "Tell us: it should stand there.")
        if known != (campaign.tenant_id, campaign.list_id):
            return Item("unsubscribe", "fail", "The unsubscribe link does not lead to this list.", "Tell us: it should.")
        return Item("unsubscribe", "pass", "A real link stands in headers and bodies, and leads to the list.")


def _fields(campaign: Campaign) -> tuple[set[str], set[str]]:
    """(what its words read, what of that simply stands there)."""
    all_words = [Templates(words.template.subject, words.template.text, words.template.html) for words in campaign.in_variants]
    return {name for words in all_words for name in words.names}, {name for words in all_words for name in words.placed}


def _rendered(compiled: CompiledCampaign, readers: Iterable[Recipient]) -> tuple[list[bytes], str]:
    """(their messages, why the last that could not be made was not)."""
    made: list[bytes] = []
    failure = ""
    for reader in readers:
        try:
            made.append(compiled.render(reader))
        except RenderFailed as failed:
            failure = failed.reason
    return made, failure


def _renders(made: int, tried: int, failure: str) -> Item:
    if not failure:
        return Item("renders", "pass", f"{made} of {tried} messages tried were made.")
    said = f"{tried - made} of {tried} messages tried could not be made: {failure}"[:150]
    return Item("renders", "warn" if made else "fail", said, "Give the template a default where a field may be missing.")


def _label(compiled: CompiledCampaign, preview: Preview) -> Item:
    made, failure = _rendered(compiled, [preview])
    if failure:
        return Item("label", "warn", f"No message could be made to look: {failure}"[:150], "See the item renders.")
    return message_checks.label(message_checks.shown(made[0]))
