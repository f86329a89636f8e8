"""A customer's own words, compiled for one message: what it is made of is a campaign's, which has a single recipient."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from postlaw_common.errors import Invalid, NotFound
from postlaw_sending.campaigns.domain.campaign import Campaign, Sender, Template
from postlaw_sending.campaigns.use_cases.create_campaign import ApprovedWords
from postlaw_sending.messages.campaign import CompiledCampaign
from postlaw_sending.singles.domain import Words

_LABEL = "messages"  # in place of a list, in List-Id and Feedback-ID
_TEST = "TEST: "

FindCampaign = Callable[[str], Awaitable[Campaign | None]]
Compile = Callable[[Campaign], CompiledCampaign]


def of_template(tenant_id: str, words: Words, sender: Sender, template: Template) -> Campaign:
    """What a message of a template's is compiled from."""
    return Campaign(
        campaign_id=words.message_id,
        tenant_id=tenant_id,
        name="",
        list_id=_LABEL,
        list_name=sender.name,
        sender=sender,
        template=template,
        contact=words.contact,
    )


def of_campaign(words: Words, campaign: Campaign) -> Campaign:
    """What a message of a campaign's is compiled from: under an id of its own, so that what comes back is nobody's of the campaign. Answers
    to it go to the sender: an address of ours would be of somebody whom the campaign did not mail."""
    said = campaign.in_variants[max(0, words.variant - 1)].template
    template = replace(said, subject=_TEST + said.subject) if words.test else said
    return replace(campaign, campaign_id=words.message_id, template=template, contact=words.contact, forward_answers_to="")


def words_compiler(approved: ApprovedWords, find: FindCampaign, compile: Compile) -> Callable[[str, Words], Awaitable[CompiledCampaign]]:
    """By customer and words. A template must still be approved. Raises NotFound, Conflict, Invalid."""

    async def compiled(tenant_id: str, words: Words) -> CompiledCampaign:
        if words.campaign_id:
            campaign = await find(words.campaign_id)
            if campaign is None or campaign.tenant_id != tenant_id:
                raise NotFound(f"There is no campaign {words.campaign_id}.")
            return compile(of_campaign(words, campaign))
        if words.sender is None:
            raise Invalid("A message in nobody's name is none.")
        said = await approved(words.template_id, words.template_version, tenant_id)
        return compile(of_template(tenant_id, words, words.sender, said.template))

    return compiled
