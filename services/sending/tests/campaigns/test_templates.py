"""Templates: versions that never change, approved by another; and campaigns that take class and states from them alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.errors import Conflict, Denied, Invalid, KeyReused, NotFound, Unprocessable
from postlaw_common.events import from_record
from postlaw_common.testing.promises import promise
from services.sending.tests.campaigns.played import PARTITIONS

if TYPE_CHECKING:
    from .conftest import Opened, World

V = sending.TemplateVersion
ORDER = sending.Template(subject="Your order, {{ name }}", html="<p>Dear {{ name }},</p><p>it is on its way.</p>")
SHOP = sending.Template(subject="Your order", html='<p>On its way.</p>\n<p><a href="https://shop.example/sale">Shop now</a></p>')


async def written(
    world: World, template: sending.Template = ORDER, template_class: Any = sending.TEMPLATE_CLASS_TRANSACTIONAL, **other: Any
) -> sending.TemplateVersion:
    request = sending.CreateTemplateRequest(name="Orders", template_class=template_class, template=template, **other)
    return await world.stub.CreateTemplate(request)


def named(version: sending.TemplateVersion) -> sending.TemplateVersionRequest:
    return sending.TemplateVersionRequest(template_id=version.template_id, version=version.version)


async def approved(world: World, template: sending.Template = ORDER, **other: Any) -> sending.TemplateVersion:
    return await world.as_approver().ApproveTemplateVersion(named(await written(world, template, **other)))


@promise("M7")
async def test_a_template_is_approved_by_another_credential_than_its_authors(open_world: Opened) -> None:
    async with open_world() as world:
        draft = await written(world)
        assert (draft.status, draft.version, draft.written_by) == (V.STATUS_DRAFT, 1, "api_key:key_test")
        with pytest.raises(Denied) as own:
            await world.as_approver("key_test").ApproveTemplateVersion(named(draft))
        assert own.value.type == "approval-by-another"
        with pytest.raises(Denied):
            await world.stub.ApproveTemplateVersion(named(draft))  # which may write, and not approve
        done = await world.as_approver().ApproveTemplateVersion(named(draft))
        assert (done.status, done.approved_by) == (V.STATUS_APPROVED, "api_key:key_2")
        assert await world.as_approver("key_3").ApproveTemplateVersion(named(draft)) == done, "approved once"
        assert await world.stub.GetTemplateVersion(named(draft)) == done


async def test_a_version_never_changes_and_the_next_is_a_draft(open_world: Opened) -> None:
    async with open_world() as world:
        first = await approved(world)
        other = sending.AddTemplateVersionRequest(
            template_id=first.template_id, version=2, name="Orders", template_class=first.template_class,
            template=sending.Template(subject="Your order", text="It is on its way."),
        )  # fmt: skip
        second = await world.stub.AddTemplateVersion(other)
        assert (second.version, second.status) == (2, V.STATUS_DRAFT)
        assert await world.stub.AddTemplateVersion(other) == second, "the same request again"
        other.template.text = "It is lost."
        with pytest.raises(Conflict, match="says something else"):
            await world.stub.AddTemplateVersion(other)
        other.version = 4
        with pytest.raises(NotFound):
            await world.stub.AddTemplateVersion(other)
        other.version = 1
        with pytest.raises(Invalid):
            await world.stub.AddTemplateVersion(other)
        assert await world.stub.GetTemplateVersion(named(first)) == first
        listed = await world.stub.ListTemplateVersions(sending.ListTemplateVersionsRequest(page_size=1))
        assert list(listed.templates) == [first]
        rest = await world.stub.ListTemplateVersions(sending.ListTemplateVersionsRequest(page_token=listed.next_page_token))
        assert (list(rest.templates), rest.next_page_token) == ([second], "")


@promise("M2", "G2")
@pytest.mark.parametrize("template_class", [sending.TEMPLATE_CLASS_SERVICE, sending.TEMPLATE_CLASS_TRANSACTIONAL])
async def test_what_advertises_is_approved_as_marketing_alone(open_world: Opened, template_class: Any) -> None:
    """CASL s. 6(6): only a message that *solely* does one of those things is excused."""
    async with open_world() as world:
        with pytest.raises(Conflict) as refused:
            await approved(world, SHOP, template_class=template_class)
        assert refused.value.type == "template-advertises"
        assert [(place.field, place.message) for place in refused.value.fields] == [
            ("template.text", "line 3: 'Shop now' advertises"),
            ("template.text", "line 3: 'https://shop.example/sale' advertises"),
            ("template.html", "line 2: 'https://shop.example/sale' advertises"),
            ("template.html", "line 2: 'Shop now' advertises"),
        ]
        assert (await approved(world, SHOP, template_class=sending.TEMPLATE_CLASS_MARKETING)).status == V.STATUS_APPROVED


@promise("M7")
async def test_a_template_is_approved_with_the_images_that_it_shows_and_no_others(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(8))
        gif = sending.Image(name="a", content_type="image/gif", content=b"GIF89a...")
        words = sending.Template(subject="Your order", html="<p>It goes.</p><img src='cid:b'>", text="It goes.", images=[gif])
        with pytest.raises(Conflict) as refused:
            await approved(world, words)
        assert refused.value.type == "template-images"
        assert [place.message for place in refused.value.fields] == ["shows cid:b, which is none of its images", "a is shown nowhere"]
        gif.content_type = "image/png"
        with pytest.raises(Invalid) as no_png:
            await written(world, sending.Template(subject="Your order", text="It goes.", images=[gif]))
        assert [place.field for place in no_png.value.fields] == ["template.images"]
        words.html = "<p>It goes.</p><img src='cid:a'>"
        version = await approved(world, words)
        campaign = await world.draft(template_id=version.template_id, template_version=1)
        assert campaign.template == words and version.template == words
        listed = (await world.stub.ListTemplateVersions(sending.ListTemplateVersionsRequest())).templates
        assert [(image.name, image.content) for image in listed[-1].template.images] == [("a", b"")], "a list holds no content"
        await world.stub.LaunchCampaign(sending.GetCampaignRequest(campaign_id=campaign.campaign_id))
        await world.until(campaign.campaign_id, sending.Campaign.STATUS_FINISHED)
        await written(world, words, idempotency_key="k")
        words.images[0].content += b"."
        with pytest.raises(KeyReused):
            await written(world, words, idempotency_key="k")


async def all_sealed(world: World) -> list[sending.SealedBatch]:
    return [sealed for partition in range(PARTITIONS) for sealed in await world.records(partition)]


@promise("G2", "M10")
async def test_a_campaign_has_class_and_states_from_its_approved_template_and_not_from_its_caller(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(8))
        version = await approved(world, states=["relates_to_relationship"])
        names = {"template_id": version.template_id, "template_version": 1}
        with pytest.raises(Invalid) as twice:
            await world.draft(**names, message=consent.Message(message_class="commercial"), template=ORDER)
        assert {wrong.field for wrong in twice.value.fields} == {"template", "message"}
        campaign = await world.draft(**names)
        assert (campaign.template_id, campaign.template_version, campaign.template) == (version.template_id, 1, version.template)
        await world.stub.LaunchCampaign(sending.GetCampaignRequest(campaign_id=campaign.campaign_id))
        await world.until(campaign.campaign_id, sending.Campaign.STATUS_FINISHED)
        stated = consent.Message(message_class="transactional", states=["relates_to_relationship"])
        assert world.law.asked and all(request.message == stated for request in world.law.asked)
        assert {sealed.transactional for sealed in await all_sealed(world)} == {True}
        await world.until(await world.launched(), sending.Campaign.STATUS_FINISHED)
        assert {sealed.transactional for sealed in await all_sealed(world)} == {True, False}


@promise("G2")
@pytest.mark.parametrize("message_class", ["transactional", "mixed", "consent_request"])
async def test_words_that_nobody_approved_are_commercial(open_world: Opened, message_class: str) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(8))
        with pytest.raises(Invalid) as refused:
            await world.draft(message=consent.Message(message_class=message_class))
        assert [wrong.field for wrong in refused.value.fields] == ["message.message_class"]


@promise("M7")
async def test_only_an_approved_version_is_drafted_and_launched(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(8))
        version = await written(world)
        names = {"template_id": version.template_id, "template_version": 1}
        with pytest.raises(Conflict) as draft:
            await world.draft(**names)
        assert draft.value.type == "template-not-approved"
        await world.as_approver().ApproveTemplateVersion(named(version))
        campaign = await world.draft(**names)
        await world.stub.RetireTemplateVersion(named(version))
        with pytest.raises(Unprocessable) as retired:
            await world.stub.LaunchCampaign(sending.GetCampaignRequest(campaign_id=campaign.campaign_id))
        assert [item.field for item in retired.value.fields] == ["template"]
        assert (await world.get(campaign.campaign_id)).status == sending.Campaign.STATUS_DRAFT
        with pytest.raises(Conflict) as gone:
            await world.as_approver().ApproveTemplateVersion(named(version))
        assert gone.value.type == "template-retired"
        with pytest.raises(Invalid) as missing:
            await world.draft(template_id="tpl_none", template_version=1)
        assert [wrong.field for wrong in missing.value.fields] == ["template_id"]


async def test_another_customers_templates_are_not_there(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(8))
        version = await approved(world)
        other = "ten_00000000000000000000000002"
        with pytest.raises(NotFound):
            await world.as_tenant(other).GetTemplateVersion(named(version))
        with pytest.raises(NotFound):
            await world.as_tenant(other).RetireTemplateVersion(named(version))
        with pytest.raises(NotFound):
            await world.as_approver(tenant_id=other).ApproveTemplateVersion(named(version))
        assert not (await world.as_tenant(other).ListTemplateVersions(sending.ListTemplateVersionsRequest())).templates


async def test_a_template_is_made_once_under_a_key_and_not_with_wrong_words(open_world: Opened) -> None:
    async with open_world() as world:
        first = await written(world, idempotency_key="k")
        assert await written(world, idempotency_key="k") == first
        with pytest.raises(KeyReused):
            await written(world, SHOP, idempotency_key="k")
        with pytest.raises(Invalid) as wrong:
            await written(world, sending.Template(subject=" ", html="<p>{{ name</p>"), states=["funny"])
        assert {error.field for error in wrong.value.fields} == {"states", "template.subject", "template.text", "template.html"}


@promise("A1")
async def test_each_step_of_a_template_is_told_to_the_log_with_what_was_approved(open_world: Opened) -> None:
    async with open_world() as world:
        version = await approved(world)
        await world.stub.RetireTemplateVersion(named(version))
        told: list[sending.TemplateChanged] = []
        for partition in range(world.bus.partitions):
            records = await world.bus.read_range("postlaw.sending.templates.v1", partition, 0, 100)
            told += [sending.TemplateChanged.FromString(from_record(record).data) for record in records]
        assert [(event.status, event.actor.id) for event in told] == [
            (V.STATUS_DRAFT, "key_test"),
            (V.STATUS_APPROVED, "key_2"),
            (V.STATUS_RETIRED, "key_test"),
        ]
        assert len({event.content_hash for event in told}) == 1 and len(told[0].content_hash) == 32
