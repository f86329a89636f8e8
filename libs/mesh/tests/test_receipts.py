"""Receipts: whoever holds one can check it without us, and no part of it can be changed unseen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from libs.mesh.tests.receipts_made import (
    BESIDE,
    EVENT,
    GOLDEN,
    KEYS,
    LOG_KEY,
    LOG_VKEY,
    ORIGIN,
    OTHERS,
    Place,
    changed,
    entry_of,
    made,
    proof_of,
    signed,
)
from postlaw.audit.v1 import audit_pb2
from postlaw_audit.key_chain import KeyChain
from postlaw_audit.notes import Checkpoint
from postlaw_audit.notes import sign as sign_note
from postlaw_common.testing.promises import promise
from postlaw_consent.domain.receipt import receipt_of
from postlaw_consent.receipt_signing import SIGNATURE
from postlaw_mesh.receipt_verifying import LOG, NotVerified, Unreadable, Verified, read_receipt, verify_receipt
from services.consent.tests.test_consent_wire import events

# What the receipt alone says: of the customer, of the notice's language, of the list's name.
BESIDE_THE_EVENT = ("piiControllers[0]", "record.party_identification[0].party_", "services[0].service")


def checked(receipt: dict[str, Any]) -> Verified:
    return verify_receipt(receipt, KEYS, lambda: KeyChain((LOG_VKEY,)))


def leaves(value: Any, at: Place = ()) -> Iterator[Place]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*at, name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from leaves(item, (*at, number))
    else:
        yield at


def named(place: Place) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")


PLACES = list(leaves(made()))


@promise("G2")
def test_the_format_is_the_golden_one_and_verifies() -> None:
    """After a wanted change: raise postlaw_consent.domain.receipt.SCHEMA, and write the file anew from receipts_made.made()."""
    golden = read_receipt(GOLDEN.read_text())
    assert golden == made()
    found = checked(golden)
    assert (found.event_id, found.state, found.scope, found.controller) == (EVENT.event_id, "given", "list:lst_1", "Acme Ltd")
    assert found.inclusion is not None
    assert (found.inclusion.origin, found.inclusion.index, found.inclusion.tree_size) == (ORIGIN, 2, 4)


@promise("G2", "A3")
@pytest.mark.parametrize("place", PLACES, ids=named)
def test_no_field_can_be_changed_unseen(place: Place) -> None:
    with pytest.raises(NotVerified):
        checked(changed(made(), place))


@promise("A3")
@pytest.mark.parametrize("place", [place for place in PLACES if not named(place).startswith(("signature", *BESIDE_THE_EVENT))], ids=named)
def test_not_even_the_receipts_key_can_state_what_the_event_in_the_log_does_not(place: Place) -> None:
    forged = signed(changed(made(), place))
    with pytest.raises(NotVerified) as refused:
        checked(forged)
    if place[0] not in (LOG, "version") and place[-1] != "schema_version":
        assert str(refused.value).startswith(named(place))


@promise("G2")
@given(events)
def test_a_receipt_of_any_event_verifies_and_leaving_out_or_adding_a_field_is_seen(event: Any) -> None:
    whole = made(replace(event, tenant_id="ten_1", event_id="evt_1"))
    assert checked(read_receipt(json.dumps(whole, indent=2))).inclusion is not None
    for name in whole:
        with pytest.raises(NotVerified):
            checked({other: value for other, value in whole.items() if other != name})
    with pytest.raises(NotVerified, match=r"^more"):
        checked(signed({**whole, "more": "said"}))


@promise("G2", "A3")
@given(events, st.data())
def test_of_no_events_receipt_can_anything_be_changed_unseen(event: Any, data: st.DataObject) -> None:
    whole = made(replace(event, tenant_id="ten_1", event_id="evt_1"))
    place = data.draw(st.sampled_from(list(leaves(whole))), label="place")
    with pytest.raises(NotVerified):
        checked(changed(whole, place))
    if not named(place).startswith(("signature", *BESIDE_THE_EVENT)):
        with pytest.raises(NotVerified):
            checked(signed(changed(whole, place)))


def test_what_is_nested_without_end_is_refused_in_words() -> None:
    """Somewhere between these depths the reader ends first, or else what checks."""
    whole = json.dumps(made())[:-1]
    for depth in range(700, 1000):
        with pytest.raises((NotVerified, Unreadable)):
            checked(read_receipt(whole + ', "more": ' + "[" * depth + "]" * depth + "}"))


@promise("A3")
def test_a_proof_of_another_event_another_log_or_another_root_is_named() -> None:
    receipt, another = receipt_of(EVENT, BESIDE), replace(EVENT, kind="withdrawn")
    other_log = Ed25519PrivateKey.from_private_bytes(bytes(32))
    proof = proof_of(entry_of(EVENT))
    forged = {
        "record.events[0].event_state|consentType|purposeCategory|lawful_basis|termination|event_type": proof_of(entry_of(another)),
        "log.entry": proof_of(entry_of(EVENT, b"no event")),
        "log.path": {**proof, "index": 1},
        "log.tree_size": {**proof, "tree_size": 5},
        "log.checkpoint": {**proof, "checkpoint": sign_note(Checkpoint(ORIGIN, 4, bytes(32)), other_log)},
        "log:": {name: value for name, value in proof.items() if name != "path"},
        "record.party_identification[0].party_id": proof_of(entry_of(replace(EVENT, tenant_id="ten_2"))),
    }
    for where, log in forged.items():
        with pytest.raises(NotVerified) as refused:
            checked(signed({**receipt, "log": log}))
        assert any(part in str(refused.value) for part in where.split("|")), (where, refused.value)
    wrong_root = sign_note(Checkpoint(ORIGIN, 4, bytes(32)), LOG_KEY)
    with pytest.raises(NotVerified, match="leads to another root"):
        checked(signed({**receipt, "log": {**proof, "checkpoint": wrong_root}}))
    assert len(OTHERS) == 3


@promise("A3")
@pytest.mark.parametrize(
    "said", [{"event_id": "evt_other"}, {"tenant_id": "ten_2"}, {"type": "postlaw.consent.WithdrawalAnswered"}], ids=str
)
def test_an_entry_that_names_its_event_otherwise_is_none_of_it(said: dict[str, str]) -> None:
    entry = audit_pb2.Entry.FromString(entry_of(EVENT))
    for name, value in said.items():
        setattr(entry, name, value)
    with pytest.raises(NotVerified, match=r"^log\.entry"):
        checked(signed({**receipt_of(EVENT, BESIDE), "log": proof_of(entry.SerializeToString())}))


def test_a_receipt_of_a_format_that_is_not_known_is_not_judged() -> None:
    receipt = receipt_of(EVENT, BESIDE)
    for one in (
        {**receipt, "version": "KI-CR-v1.2.0"},
        {**receipt, "record": {**receipt["record"], "schema_version": "postlaw-receipt/2"}},
    ):
        with pytest.raises(NotVerified, match=r"^version"):
            checked(signed(one))


def test_another_key_is_not_believed_though_it_names_itself() -> None:
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    with pytest.raises(NotVerified, match="none of the keys"):
        checked(signed(made(), stranger))
    header, _, signature = signed(made(), stranger)[SIGNATURE].partition("..")
    ours = made()[SIGNATURE].partition("..")[0]
    for one in (
        f"{ours}..{signature}",
        f"{header}..{made()[SIGNATURE].partition('..')[2]}",
        f"{ours}..",
        "",
        f"{ours}..x",
        made()[SIGNATURE] + "=",
    ):
        with pytest.raises(NotVerified, match="signature"):
            checked({**made(), SIGNATURE: one})


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1, "a": 2}', '{"a": 1.5}', '{"a": NaN}', "[" * 100_000, "no JSON"])
def test_what_is_no_receipt_cannot_be_read(text: str) -> None:
    with pytest.raises(Unreadable):
        read_receipt(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s), max_leaves=10
    )
)
def test_whatever_is_signed_in_a_receipts_place_is_refused_in_words(value: Any) -> None:
    for name in ("record", "piiControllers", "services", "log", "version", "consentReceiptID", "signature"):
        with pytest.raises(NotVerified):
            one = {**made(), name: value}
            checked(signed(one) if name != "signature" and _signable(one) else one)


def _signable(receipt: dict[str, Any]) -> bool:
    try:
        signed(receipt)
    except ValueError:
        return False
    return True
