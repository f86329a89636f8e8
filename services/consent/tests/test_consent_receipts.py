"""Receipts of consents and withdrawals: what is in them, whose signature is under them, and when they cannot be had."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from postlaw.audit.v1 import audit_pb2
from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.blobs import BlobsUnavailable
from postlaw_common.caller import acting_as
from postlaw_common.errors import Invalid, NotFound, Unavailable
from postlaw_common.testing.promises import promise
from postlaw_consent.receipt_keys import KEYS_BLOB, ReceiptKeys
from postlaw_consent.receipt_signing import canonical, keys_of, verify
from postlaw_consent.service import ConsentSettings

if TYPE_CHECKING:
    from .world import World


async def receipt(world: World, event_id: str, **who: Any) -> dict[str, Any]:
    with acting_as(world.caller):
        document = (await world.consent.GetReceipt(pb.GetReceiptRequest(event_id=event_id, **who), None)).document
    told = json.loads(document)
    assert canonical(told) == document
    return told


async def key_set(world: World) -> str:
    with acting_as(None):
        listed = await world.consent.ListReceiptKeys(pb.ListReceiptKeysRequest(), None)
    return json.dumps({"keys": [{"kty": key.kty, "crv": key.crv, "x": key.x} for key in listed.keys]})


@promise("G2")
async def test_a_consents_receipt_says_who_when_with_which_words_and_on_what_evidence(world: World) -> None:
    ada = world.person("ada")
    said = pb.Particulars(
        held=[pb.EVIDENCE_AFFIRMATIVE_ACT], territories=["DE"], language="de", purposes=["News"], method="web form", controller="Shop"
    )
    [id] = (await world.given(ada, wording="Ja.", source="/join", particulars=said, sealed_proof_evidence=b"sealed")).event_ids
    told = await receipt(world, id, address_key=ada)
    assert verify(told, keys_of(await key_set(world)))
    assert (told["consentReceiptID"], told["piiPrincipalId"], told["jurisdiction"], told["language"]) == (id, ada.hex(), "DE", "de")
    assert told["piiControllers"][0]["piiController"] == "Acme"
    assert told["policyUrl"].startswith("ni:///sha-256;")
    processing, parties, [event] = told["record"]["pii_processing"], told["record"]["party_identification"], told["record"]["events"]
    assert (processing["lawful_basis"], processing["purposes"], processing["services"]) == ("consent", ["News"], ["list:lst_1"])
    assert [(party["party_name"], party["party_role"]) for party in parties] == [
        ("Acme", "pii_controller"),
        ("Shop", "asked for the consent"),
    ]
    assert (event["event_state"], event["route"], event["grade"], event["source"]) == ("given", "api", "captured", "/join")
    assert (event["evidence_held"], event["evidence_sealed"]) == (["affirmative_act", "proof_ref", "wording_version"], ["proof"])
    assert "sealed" not in json.dumps(told).replace("evidence_sealed", "")


@promise("G2", "M5")
async def test_a_withdrawal_has_a_receipt_as_a_consent_has(world: World) -> None:
    ada = world.person("ada")
    await world.given(ada)
    withdrawal = await world.by_token(await world.token(ada))
    told = await receipt(world, withdrawal.event_id, address_key=ada)
    assert verify(told, keys_of(await key_set(world)))
    [event] = told["record"]["events"]
    assert (event["event_state"], event["event_type"], event["route"]) == ("withdrawn", "NONE: withdrawn", "one_click")
    assert "lawful_basis" not in told["record"]["pii_processing"]
    assert (told["collectionMethod"], told["language"], told["jurisdiction"]) == ("one-click unsubscribe", "und", "unknown")


async def test_a_relationship_is_named_as_what_it_is(world: World) -> None:
    ada = world.person("ada")
    [id] = (await world.given(ada, kind=pb.ConsentEvent.KIND_IMPLIED, particulars=pb.Particulars(relationship="purchase"))).event_ids
    told = await receipt(world, id, address_key=ada)
    assert told["services"][0]["purposes"][0]["consentType"] == "IMPLICIT: purchase"


async def test_a_notices_language_stands_where_the_act_did_not_say(world: World) -> None:
    await world.given(world.person("bob"), wording="Oui.", particulars=pb.Particulars(language="fr"))
    [id] = (await world.given(world.person("ada"), wording="Oui.")).event_ids
    assert (await receipt(world, id, address_key=world.person("ada")))["language"] == "fr"


@promise("A3")
async def test_the_logs_proof_is_in_it_once_the_log_has_the_event_and_only_if_it_has_these_bytes(world: World) -> None:
    ada = world.person("ada")
    [id] = (await world.given(ada)).event_ids
    assert "log" not in await receipt(world, id, address_key=ada)
    [record] = await world.published()
    world.audit.entries[id] = audit_pb2.Entry(event_id=id, data=record.value)
    proof = (await receipt(world, id, address_key=ada))["log"]
    assert (proof["index"], proof["tree_size"], proof["checkpoint"], len(proof["path"])) == (2, 4, "a note", 1)
    assert (proof["witnesses"], "keys" in proof) == ("unwitnessed", False)
    world.audit.witnesses, world.audit.key_notes = ["one"], ["a note of a key"]
    proof = (await receipt(world, id, address_key=ada))["log"]
    assert (proof["witnesses"], proof["keys"]) == ("cosigned", ["a note of a key"])
    world.audit.entries[id].data += b"!"
    assert "log" not in await receipt(world, id, address_key=ada)


async def test_an_event_of_somebody_else_or_another_customer_has_no_receipt_here(world: World) -> None:
    ada = world.person("ada")
    world.people["sub_1"] = ada
    [id] = (await world.given(ada)).event_ids
    assert (await receipt(world, id, subscriber_id="sub_1"))["consentReceiptID"] == id
    for other, who in ((id, {"address_key": world.person("bob")}), ("evt_other", {"address_key": ada}), (id, {"subscriber_id": "sub_2"})):
        with pytest.raises(NotFound):
            await receipt(world, other, **who)
    with world.tenant("ten_other"), pytest.raises(NotFound):
        await receipt(world, id, address_key=ada)
    with pytest.raises(Invalid):
        await receipt(world, id)


async def test_a_long_history_is_looked_through_to_its_end(world: World) -> None:
    ada = world.person("ada")
    records = [pb.ConsentRecord(address_key=ada, scope=pb.Scope(list_id=f"lst_{number}")) for number in range(310)]
    ids = (await world.record(*records)).event_ids
    assert (await receipt(world, ids[-1], address_key=ada))["record"]["events"][0]["version"] == 310


async def test_without_identity_there_is_no_receipt_since_nobody_can_say_whose_it_is(world: World) -> None:
    ada = world.person("ada")
    [id] = (await world.given(ada)).event_ids
    world.identity.down = True
    with pytest.raises(Unavailable):
        await receipt(world, id, address_key=ada)


async def test_a_fresh_key_signs_and_receipts_of_the_old_one_still_verify(world: World) -> None:
    ada = world.person("ada")
    [id] = (await world.given(ada)).event_ids
    old = await receipt(world, id, address_key=ada)
    first = keys_of(await key_set(world))
    world.settings = ConsentSettings(receipt_key_version=2)
    await world.restart()
    both = keys_of(await key_set(world))
    assert (len(first), len(both)) == (1, 2)
    new = await receipt(world, id, address_key=ada)
    assert verify(old, both) == verify(old, first)
    assert verify(new, both) not in first


@pytest.mark.parametrize(
    "value", [1.5, None, 2**53, -(2**53), b"bytes", {1: "a name that is none"}, [{"deep": [0.0]}], float("nan")], ids=str
)
def test_what_two_writers_might_write_differently_is_not_signed(value: Any) -> None:
    with pytest.raises(ValueError):
        canonical({"value": value})


def test_the_canonical_form_is_that_of_rfc_8785() -> None:
    told = {"\u20ac": "Euro", "b": [True, False, 2**53 - 1, -1], "a": '"\\\b\t\n\f\r\u000f\u007f/\u00f6\U0001f600'}
    said = '{"a":"\\"\\\\\\b\\t\\n\\f\\r\\u000f\u007f/\u00f6\U0001f600","b":[true,false,9007199254740991,-1],"\u20ac":"Euro"}'
    assert canonical(told).decode() == said


class _Seeds:
    async def get(self, name: str, version: int = 1, *, create: bool = True) -> bytes:
        return bytes([version]) * 32


async def test_the_keys_are_published_beside_the_log_once_the_bucket_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    put: list[bytes] = []

    class Away:
        async def put(self, key: str, data: bytes, **_: Any) -> None:
            assert key == KEYS_BLOB
            put.append(data)
            if len(put) == 1:
                raise BlobsUnavailable("taken away by the test")

    monkeypatch.setattr("postlaw_consent.receipt_keys._AGAIN_S", 0.0)
    blobs: Any = Away()
    keys = ReceiptKeys(_Seeds(), blobs, version=2)
    await keys.start()
    await keys.publish()
    assert len(put) == 2
    assert len(keys_of(put[1].decode())) == 2
