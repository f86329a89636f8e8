"""A person's address as whoever holds their unsubscribe link may see it."""

from __future__ import annotations

from typing import Any

import pytest

from postlaw.subscribers.v1 import subscribers_pb2 as pb
from postlaw.subscribers.v1.subscribers_pb2_grpc import SubscribersServiceStub
from postlaw_common.errors import Denied
from postlaw_common.testing.promises import promise
from postlaw_subscribers.domain.masking import mask
from services.subscribers.tests.by_hand import delete, put


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("jane.doe@example.com", "j•••@e•••.com"),
        ("j@x.com", "j•••@x•••.com"),
        ("ann+shop@mail.shop.co.uk", "a•••@m•••.uk"),
        ('"a@b c"@example.org', '"•••@e•••.org'),
        ("élodie@xn--exmple-cua.fr", "é•••@x•••.fr"),
    ],
)
def test_no_more_than_the_first_letters_of_an_address_are_shown(address: str, masked: str) -> None:
    assert mask(address) == masked


@promise("S10")
async def test_a_link_shows_the_masked_address_until_the_person_is_erased(world: Any) -> None:
    made = await put(world, "jane.doe@example.com", fields={"name": "Jane"})
    key = (await world.stub().ResolvePerson(pb.ResolvePersonRequest(subscriber_id=made.subscriber_id))).address_key
    stub: Any = SubscribersServiceStub(world.mesh.channel("subscribers", as_service="gateway"))
    asked = pb.GetMaskedAddressRequest(tenant_id="ten_a", address_key=key)
    assert (await stub.GetMaskedAddress(asked)).masked == "j•••@e•••.com"
    assert (await stub.GetMaskedAddress(pb.GetMaskedAddressRequest(tenant_id="ten_other", address_key=key))).masked == ""
    await delete(world, made.subscriber_id)
    assert (await stub.GetMaskedAddress(asked)).masked == ""


@promise("S10")
async def test_nobody_but_the_gateway_may_ask_for_it(world: Any) -> None:
    stub: Any = SubscribersServiceStub(world.mesh.channel("subscribers", as_service="sending"))
    with pytest.raises(Denied):
        await stub.GetMaskedAddress(pb.GetMaskedAddressRequest(tenant_id="ten_a", address_key=b"\1" * 33))
