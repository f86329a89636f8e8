"""One message to one person: once by its key, through a crash and a receiver that puts it off, and gone with its end."""

from __future__ import annotations

import email
import email.policy
import time
import tomllib
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any

import pytest

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw.sending.v1.sending_pb2_grpc import SendingServiceStub
from postlaw_common.bus import BusUnavailable, Received
from postlaw_common.errors import Conflict, Denied, Invalid, NotFound, Unavailable
from postlaw_common.testing.promises import promise
from postlaw_sending.campaigns.backlog import Backlog
from postlaw_sending.campaigns.domain.recipients import State
from postlaw_sending.campaigns.wire import settled
from postlaw_sending.messages.single import LANGUAGES, CompiledSingle, Single
from postlaw_sending.singles.domain import ENDED_AFTER_US, Handed, attempt_id, made_at_us, status_of
from postlaw_sending.stop.holdings import HOLDINGS
from postlaw_sending.stop.wire import SINGLES
from postlaw_sending.worker.jobs import OpenBatch
from services.sending.tests.messages.compiled import RETURN_PATHS

from .conftest import TENANT
from .played import address_key

if TYPE_CHECKING:
    from .conftest import Opened, World

TOKEN = b"stop-token"
TEXTS = Path(__file__).parents[2] / "postlaw_sending" / "messages" / "texts"


def stub(world: World, *, as_service: str = "consent", scopes: tuple[str, ...] = ("messages:send",)) -> Any:
    caller = world.mesh.caller(TENANT, scopes)
    return SendingServiceStub(world.mesh.channel("sending", as_service=as_service, caller=caller))


def request(world: World, key: str = "sgn_1", **changed: Any) -> sending.SendMessageRequest:
    asked: dict[str, Any] = {
        "idempotency_key": key,
        "template": sending.SendMessageRequest.TEMPLATE_CONFIRM_SIGN_UP,
        "language": "en",
        "sender": sending.Sender(name="Shop", address="news@shop.example", postal_address="1 Main St"),
        "scope": consent.Scope(list_id="lst_1"),
        "address_key": address_key(1),
        "address": "jane@example.com",
        "list_name": "Weekly",
        "action_url": "https://mail.example/c/secret-token",
        "opt_out_token": TOKEN,
        "consent_offset": 3,
        "generation": world.platform.generation(),
        "law_version": "law",
        "decided_at_us": world.platform.now_us(),
        "expires_at_us": world.platform.now_us() + 3600 * 1_000_000,
        "inputs_hash": b"inputs",
    }
    return sending.SendMessageRequest(**asked | changed)


async def jobs(world: World) -> list[Received]:
    """Everything on the topic of single messages."""
    return [record for partition in range(world.bus.partitions) for record in await world.bus.read_range(SINGLES, partition, 0, 1_000_000)]


async def opened(world: World, record: Received) -> OpenBatch:
    return await world.opener(sending.SealedBatch.FromString(record.value), record.partition)


async def settle(world: World, record: Received, state: State, reason: str = "") -> None:
    """As the worker says it; the singles have heard it when this returns."""
    sealed = sending.SealedBatch.FromString(record.value)
    event = sending.BatchSettled(
        tenant_id=sealed.tenant_id,
        campaign_id=sealed.campaign_id,
        partition=record.partition,
        attempt=sealed.attempt,
        address_keys=[address_key(1)],
        subscriber_ids=[""],
        states=bytes([state]),
        started_at_us=1_800_000_000_000_000,
        handed_over_after_us=[7],
        reasons=[1] if reason else [],
        reason_texts=[reason] if reason else [],
    )
    await world.singles.settle(settled(event.SerializeToString()))


async def state(world: World) -> str:
    [document] = [document async for page in world.store.collection("single_messages").scan() for document in page]
    return document["state"]


@promise("G12", "X2")
async def test_a_message_goes_on_the_log_once_by_its_key_and_sealed(open_world: Opened) -> None:
    async with open_world() as world:
        asked = request(world)
        first = await stub(world).SendMessage(asked)
        assert (await stub(world).SendMessage(asked)).message_id == first.message_id
        await world.singles.sweep()
        [record] = await jobs(world)
        assert record.partition == world.platform.placement().partition(TENANT, address_key(1))
        for secret in (b"jane", b"secret-token", TOKEN):
            assert secret not in record.value
        stored = repr([document async for page in world.store.collection("single_messages").scan() for document in page])
        assert "jane" not in stored and "secret-token" not in stored
        sealed = sending.SealedBatch.FromString(record.value)
        assert (sealed.consent_offset, sealed.law_version, sealed.inputs_hash, sealed.size) == (3, "law", b"inputs", 1)
        assert sealed.scope.list_id == "lst_1"
        batch = await opened(world, record)
        assert [recipient.address for recipient in batch.recipients] == ["jane@example.com"]


async def test_single_messages_take_no_room_from_campaigns_in_the_planners_backlog(open_world: Opened) -> None:
    async with open_world() as world:
        backlog = Backlog(world.bus, lambda: world.store.collection(HOLDINGS.name), 3)
        for number in range(5):
            await stub(world).SendMessage(request(world, f"sgn_{number}"))
        [partition] = {record.partition for record in await jobs(world)}
        assert await backlog.room(partition) == (3, 0)
        await backlog.close()


@promise("G12")
async def test_what_has_come_to_its_end_opens_nowhere_again(open_world: Opened) -> None:
    async with open_world() as world:
        await stub(world).SendMessage(request(world))
        [record] = await jobs(world)
        await settle(world, record, State.SENT)
        await settle(world, record, State.BOUNCED)  # read again, or claimed: it has ended
        assert await state(world) == "sent"
        with pytest.raises(NotFound):
            await opened(world, record)
        await world.singles.sweep()
        assert len(await jobs(world)) == 1


@promise("S8")
async def test_what_became_of_a_message_and_when_is_kept_for_who_holds_it_against_the_relays_log(open_world: Opened) -> None:
    async with open_world() as world:
        id = (await stub(world).SendMessage(request(world))).message_id
        [record] = await jobs(world)
        attempt = sending.SealedBatch.FromString(record.value).campaign_id
        assert [page async for page in world.singles.handed()] == [[Handed(TENANT, id, attempt, address_key(1), None, 0)]]
        await settle(world, record, State.SENT)
        sent = Handed(TENANT, id, attempt, address_key(1), State.SENT, 1_800_000_000_000_007)
        assert [page async for page in world.singles.handed()] == [[sent]]


async def test_a_message_that_was_put_off_comes_again_as_another_attempt_on_the_same_decision(open_world: Opened) -> None:
    ahead = 0

    def now_us() -> int:
        return time.time_ns() // 1000 + ahead

    async with open_world(now_us=now_us) as world:
        await stub(world).SendMessage(request(world))
        [record] = await jobs(world)
        await settle(world, record, State.DEFERRED, "451 4.7.1 greylisted")
        await world.singles.sweep()
        assert len(await jobs(world)) == 1  # not before its minute is over
        ahead += 61 * 1_000_000
        await world.singles.sweep()
        one, other = [sending.SealedBatch.FromString(each.value) for each in await jobs(world)]
        assert one.campaign_id != other.campaign_id
        assert (other.attempt, other.batch, other.consent_offset) == (1, 0, one.consent_offset)
        with pytest.raises(NotFound):
            await opened(world, record)
        [_, again] = await jobs(world)
        assert (await opened(world, again)).recipients[0].address == "jane@example.com"


async def test_a_crash_or_an_outage_before_the_log_loses_no_message(open_world: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world() as world:
        publish = type(world.bus).publish

        async def away(*_: object) -> list[int]:
            raise BusUnavailable("taken away by the test")

        monkeypatch.setattr(type(world.bus), "publish", away)
        await stub(world).SendMessage(request(world))
        monkeypatch.setattr(type(world.bus), "publish", publish)
        assert await jobs(world) == []
        await world.singles.sweep()
        await world.singles.sweep()
        assert len(await jobs(world)) == 1


async def test_nobody_else_may_send_and_no_ended_or_foreign_decision_is_taken(open_world: Opened) -> None:
    async with open_world() as world:
        with pytest.raises(Denied):
            await stub(world, as_service="gateway").SendMessage(request(world))
        with pytest.raises(Denied):
            await stub(world, scopes=()).SendMessage(request(world))
        with pytest.raises(Invalid):
            await stub(world).SendMessage(request(world, expires_at_us=1))
        with pytest.raises(Invalid):
            await stub(world).SendMessage(request(world, template=0))
        with pytest.raises(Unavailable):
            await stub(world).SendMessage(request(world, generation="gen_other"))
        assert await jobs(world) == []


@promise("M1")
async def test_nothing_comes_from_a_domain_that_is_not_verified_but_from_the_platforms_own_where_there_is_one(open_world: Opened) -> None:
    async with open_world(unverified_domains="deny") as world:
        with pytest.raises(Conflict) as refused:
            await stub(world).SendMessage(request(world))
        assert refused.value.type == "domain-not-verified"
        assert await jobs(world) == []
    async with open_world(unverified_domains="deny", fallback_from="notices@platform.example") as world:
        await stub(world).SendMessage(request(world))
        [record] = await jobs(world)
        batch = await opened(world, record)
        message = email.message_from_bytes(batch.compiled.render(batch.recipients[0]), policy=email.policy.default)
        assert message["From"] == "Shop <notices@platform.example>"
        assert "1 Main St" in message.get_content()


def test_a_worker_may_forget_an_attempt_only_when_no_copy_of_it_can_come() -> None:
    attempt = attempt_id()
    assert status_of(attempt, made_at_us(attempt) + ENDED_AFTER_US) == "sending"
    assert status_of(attempt, made_at_us(attempt) + ENDED_AFTER_US + 1) == "finished"


def compiled(language: str = "en", sender: str = "Möbel\r\nBcc: x@y.example", template: str = "confirm_sign_up") -> CompiledSingle:
    single = Single(
        "sgl_01m8b7khwte0h8fj6kpey0vyxp", template, language, sender, "news@shop.example", "1 Main St", "hello@shop.example",
        "Weekly {list}", "https://mail.example/c/tok",
    )  # fmt: skip
    return CompiledSingle(single, "https://mail.example", RETURN_PATHS)


@promise("G12", "M4")
@pytest.mark.parametrize("language", [*sorted(LANGUAGES), "it", ""])
def test_the_mail_says_who_asks_and_how_to_stop_and_nothing_that_tells_whether_it_was_read(language: str) -> None:
    """And says that a machine wrote it (RFC 3834 §5), so that no vacation notice answers it."""
    recipient = sending.JobRecipient(address="jane@example.com", opt_out_token=TOKEN)
    message = email.message_from_bytes(compiled(language).render(recipient), policy=email.policy.default)
    assert message.keys() == [
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "List-Unsubscribe", "List-Unsubscribe-Post", "MIME-Version",
        "Content-Type", "Content-Transfer-Encoding",
    ]  # fmt: skip
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["From"] == '"Möbel Bcc: x@y.example" <news@shop.example>'
    body = message.get_content()
    for words in ("https://mail.example/c/tok", "https://mail.example/u/stop-token", "1 Main St", "hello@shop.example", "Weekly {list}"):
        assert words in body
    assert "jane" not in compiled(language).envelope_from(recipient).decode()


@promise("G4", "M4")
@pytest.mark.parametrize("language", sorted(LANGUAGES))
@pytest.mark.parametrize("template", ["change_details", "confirm_address"])
def test_mails_about_a_persons_details_say_who_writes_where_to_act_and_how_to_stop(template: str, language: str) -> None:
    recipient = sending.JobRecipient(address="jane@example.com", opt_out_token=TOKEN)
    message = email.message_from_bytes(compiled(language, "Möbel", template).render(recipient), policy=email.policy.default)
    assert "Möbel" in message["Subject"]
    for words in ("https://mail.example/c/tok", "https://mail.example/u/stop-token", "1 Main St", "hello@shop.example"):
        assert words in message.get_content()


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_language_has_every_template_with_the_same_placeholders(language: str) -> None:
    def placeholders(of: str) -> dict[tuple[str, str], set[str]]:
        texts = tomllib.loads((TEXTS / f"{of}.toml").read_text(encoding="utf-8"))
        return {
            (template, part): {name for _, name, _, _ in Formatter().parse(text) if name}
            for template, parts in texts.items()
            for part, text in parts.items()
        }

    assert placeholders(language) == placeholders("en")
