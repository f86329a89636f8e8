"""A person signs up on a form, and confirms by the link in the mail: the steps, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.caller import acting_as

from .world import HELD

if TYPE_CHECKING:
    from .world import World

JANE = "jane@example.com"
Event = pb.ConsentEvent


async def form(world: World, **changed: Any) -> pb.Form:
    world.subscribers.resolves = True
    sender = pb.FormSender(name="Acme", address="news@acme.example", postal_address="1 High Street")
    asked: dict[str, Any] = {"list_id": "lst_1", "language": "en", "wording": "Yes.", "purposes": ["News"], "territories": ["IE"]}
    with acting_as(world.caller):
        return await world.consent.CreateForm(pb.CreateFormRequest(sender=sender, **asked | changed), None)


async def sign_up(world: World, on: pb.Form, address: str = JANE, **changed: Any) -> None:
    """Returns once it is carried out, or cannot be for now."""
    asked: dict[str, Any] = {"held": HELD, "language": "de", "ip": "192.0.2.1", "user_agent": "browser"}
    with acting_as(None):
        await world.consent.SignUp(pb.SignUpRequest(form_id=on.form_id, address=address, **asked | changed), None)
    await world.carried_out()


async def history(world: World, address: str = JANE) -> list[pb.ConsentEvent]:
    return list((await world.listed(world.person(address))).events)


async def kinds(world: World, address: str = JANE) -> list[int]:
    return [event.kind for event in await history(world, address)]


def token_of(world: World, number: int = -1) -> str:
    return world.sending.mails[number].action_url.rpartition("/c/")[2]


async def confirm(world: World, token: str) -> pb.Confirmation:
    with acting_as(None):
        return await world.consent.ConfirmSignUp(pb.ConfirmSignUpRequest(token=token, contact_shown=True), None)


async def look(world: World, token: str) -> pb.Confirmation:
    with acting_as(None):
        return await world.consent.DescribeConfirmation(pb.DescribeConfirmationRequest(token=token), None)
