"""What an API key's holder does to one person, in one call each."""

from __future__ import annotations

from typing import Any

from postlaw.subscribers.v1 import subscribers_pb2 as pb


async def put(world: Any, address: str, *, tenant_id: str = "ten_a", **more: Any) -> pb.Subscriber:
    return await world.stub(tenant_id).PutSubscriber(pb.PutSubscriberRequest(address=address, **more))


async def get(world: Any, id: str, tenant_id: str = "ten_a") -> pb.Subscriber:
    return await world.stub(tenant_id).GetSubscriber(pb.GetSubscriberRequest(subscriber_id=id))


async def delete(world: Any, id: str, **more: Any) -> None:
    await world.stub().DeleteSubscriber(pb.DeleteSubscriberRequest(subscriber_id=id, **more))


async def audience(world: Any, list_id: str) -> dict[str, dict[str, str]]:
    return {member.address: dict(member.fields) for member in await world.audience(list_id)}
