"""The whole mesh: the old provider's suppression list comes in, a campaign obeys it, and the list goes out once another has approved."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path
from typing import Any

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.consent.v1.consent_pb2_grpc import ConsentServiceStub
from postlaw.subscribers.v1 import subscribers_pb2 as subscribers
from postlaw_common.testing.promises import promise

from .signing_up import ATTESTED, HELD, WORDING, Acme, acme, imported


def exports(customer: Acme, scope: str, key: str) -> Any:
    caller = customer.mesh.caller(customer.tenant_id, [scope], credential_id=key)
    return ConsentServiceStub(customer.mesh.channel("consent", caller=caller))


@promise("M6")
async def test_whom_the_old_providers_list_names_gets_no_mail_and_stands_in_the_list_that_goes_out(tmp_path: Path) -> None:
    async with acme(tmp_path) as customer:
        listed = await imported(
            customer, b"email\nann@example.com\nnobody@example.com\n", suppress=subscribers.ImportSuppression(source="the old provider")
        )
        assert (listed.suppressed, listed.refused) == (2, 0)
        await imported(customer, b"email\nann@example.com\nbob@example.com\n", list_id=customer.list_id, consent=ATTESTED)
        totals = (await customer.campaign()).totals
        assert totals.refused == 1
        assert (len(customer.mails_to("ann@example.com")), len(customer.mails_to("bob@example.com"))) == (0, 1)

        asks = exports(customer, "suppressions:export", "key_1")
        asked = await asks.RequestSuppressionExport(consent.RequestSuppressionExportRequest(purpose="the authority asks"))
        export = consent.SuppressionExportRequest(suppression_export_id=asked.suppression_export_id)
        await exports(customer, "suppressions:approve", "key_2").ApproveSuppressionExport(export)
        data = b"".join([chunk.data async for chunk in asks.TakeSuppressionExport(export)])
        lines = list(csv.DictReader(io.StringIO(data.decode())))
        assert sorted((line["address"], line["scope"], line["reason"]) for line in lines) == [
            ("", "everything", "withdrawn"),
            ("ann@example.com", "everything", "withdrawn"),
        ]


@promise("M6")
async def test_whom_a_list_of_digests_names_gets_no_mail_whether_here_already_or_later_until_they_say_yes_themselves(
    tmp_path: Path,
) -> None:
    async with acme(tmp_path) as customer:
        await imported(customer, b"email\nann@example.com\nbob@example.com\n", list_id=customer.list_id, consent=ATTESTED)
        names = ("ann", "carl", "dora", "eve")
        digests = "\n".join(["sha256", *(hashlib.sha256(f"{name}@example.com".encode()).hexdigest() for name in names)]).encode()
        listed = await imported(customer, digests, suppress=subscribers.ImportSuppression(source="the old provider", format="sha256"))
        assert (listed.digests_kept, listed.people_checked, listed.people_matched) == (4, 2, 1)

        await imported(customer, b"email\ncarl@example.com\ndora@example.com\n", list_id=customer.list_id, consent=ATTESTED)
        await customer.sign_up("eve@example.com")
        await customer.settled()
        assert customer.mails_to("eve@example.com") == []
        said = consent.ConsentRecord(
            address="dora@example.com",
            scope=consent.Scope(list_id=customer.list_id),
            route=consent.ROUTE_PAGE,
            wording=WORDING,
            particulars=consent.Particulars(held=[consent.Evidence.Value(f"EVIDENCE_{name.upper()}") for name in HELD], territories=["IE"]),
        )
        await customer.consent.RecordConsents(consent.RecordConsentsRequest(consents=[said]))
        totals = (await customer.campaign()).totals
        assert totals.refused == 2
        mailed = [name for name in ("ann", "bob", "carl", "dora") if customer.mails_to(f"{name}@example.com")]
        assert mailed == ["bob", "dora"]
