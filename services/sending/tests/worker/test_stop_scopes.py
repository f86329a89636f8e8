"""Which withdrawal covers which message, from the narrowest scope to the widest."""

from __future__ import annotations

import pytest

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw_common.testing.promises import promise
from postlaw_sending.stop.holding import REFUSED, SENT
from postlaw_sending.stop.scope import EVERYTHING, belonging, covers
from services.sending.tests.worker.mill import Mill, running

OF_A_LIST = belonging("list:lst_1", "Acme")
OF_A_BRAND = belonging(EVERYTHING, "Acme")


@pytest.mark.parametrize(
    ("withdrawn", "message", "stops"),
    [
        ("list:lst_1", OF_A_LIST, True),
        ("list:lst_2", OF_A_LIST, False),
        ("topic:Acme", OF_A_LIST, False),
        ("brand:Acme", OF_A_LIST, True),
        ("brand:acme", OF_A_LIST, False),
        ("brand:lst_1", OF_A_LIST, False),
        ("brand:Acme", belonging("list:lst_1", ""), False),
        ("brand:Acme", OF_A_BRAND, True),
        ("brand:Other", OF_A_BRAND, False),
        ("list:lst_2", OF_A_BRAND, True),  # it may be a list of the brand
        ("brand:Other", belonging(EVERYTHING, ""), True),
        ("topic:news", belonging(EVERYTHING, ""), True),
        *((EVERYTHING, message, True) for message in (OF_A_LIST, OF_A_BRAND, belonging(EVERYTHING, ""))),
    ],
)
@promise("M6")
def test_a_withdrawal_covers_what_is_as_narrow_and_narrower(withdrawn: str, message: str, stops: bool) -> None:
    assert covers(withdrawn, message) is stops


def test_a_message_of_a_brand_alone_belongs_to_it_however_it_is_said() -> None:
    assert belonging("brand:Acme", "Acme") == belonging(EVERYTHING, "Acme") == "brand:Acme"


@pytest.mark.parametrize("kind", [consent.ConsentEvent.KIND_WITHDRAWN, consent.ConsentEvent.KIND_COMPLAINED])
@promise("M6")
async def test_an_opt_out_of_a_brand_stops_the_mail_of_its_lists_and_no_other(
    mill: Mill, kind: consent.ConsentEvent.Kind.ValueType
) -> None:
    before = await mill.end_of_consent(0)
    tag, offset = await mill.withdraw(1, scope=consent.Scope(brand="Acme"), kind=kind)
    await mill.send_to(range(3), consent_offset=before, brand="Acme")
    await mill.send_to(range(3), consent_offset=before, brand="Other")
    await mill.send_to(range(3), consent_offset=before)
    async with running(mill.worker()):
        assert (await mill.await_stopped(tag, 0, offset, mill.generation)).stopped
        settled = {batch.batch: list(batch.states) for batch in await mill.outcomes(3)}
    assert settled == {0: [SENT, REFUSED, SENT], 1: [SENT] * 3, 2: [SENT] * 3}
