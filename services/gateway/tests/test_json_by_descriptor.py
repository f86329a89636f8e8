"""JSON ↔ protobuf by descriptor: what is answered can be sent again, and says the same."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st

from postlaw.sending.v1 import sending_pb2
from postlaw.subscribers.v1 import subscribers_pb2
from postlaw_common.errors import Invalid
from postlaw_gateway.json_in import fill, parse_object
from postlaw_gateway.json_out import encode, to_json
from postlaw_gateway.naming import EMPTY, enum_value_name
from postlaw_gateway.routes import ROUTES

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
_stamp = st.integers(min_value=-62135596800, max_value=253402300799)
_totals = st.builds(
    sending_pb2.Totals,
    audience=st.integers(min_value=-(2**63), max_value=2**63 - 1),
    audience_complete=st.booleans(),
    refused_by_reason=st.dictionaries(_text, st.integers(min_value=0, max_value=2**63 - 1), max_size=4),
)
_campaigns = st.builds(
    sending_pb2.Campaign,
    name=_text,
    sender=st.builds(sending_pb2.Sender, name=_text, address=_text),
    template=st.none() | st.builds(sending_pb2.Template, subject=_text, html=_text),
    status=st.sampled_from(sending_pb2.Campaign.Status.values()[1:]),
    totals=st.none() | _totals,
    version=st.integers(min_value=0, max_value=2**63 - 1),
)
_leaves = st.none() | st.booleans() | st.integers() | st.floats() | _text
_anything = st.recursive(_leaves, lambda s: st.lists(s) | st.dictionaries(_text, s), max_leaves=8)
_recipients = st.builds(sending_pb2.Recipient, address_key=st.binary(max_size=40), reason=_text)


def there_and_back(message: Message) -> Message:
    again = type(message)()
    fill(again, parse_object(encode(to_json(message))))
    return again


@given(_campaigns, _stamp, st.integers(min_value=0, max_value=999_999_999))
def test_a_campaign_survives_there_and_back(campaign: Any, seconds: int, nanos: int) -> None:
    campaign.created_at.seconds, campaign.created_at.nanos = seconds, nanos
    assert there_and_back(campaign) == campaign


@given(_recipients)
def test_bytes_survive_there_and_back(recipient: Any) -> None:
    recipient.state = sending_pb2.RECIPIENT_STATE_SENT
    assert there_and_back(recipient) == recipient


@given(_anything)
def test_no_value_at_all_breaks_the_conversion(value: Any) -> None:
    for name in ("name", "sender", "totals", "created_at", "status", "version"):
        try:
            fill(sending_pb2.Campaign(), {name: value})
        except Invalid as wrong:
            assert wrong.fields


@given(st.binary(max_size=200))
def test_no_body_at_all_breaks_the_parser(body: bytes) -> None:
    try:
        assert isinstance(parse_object(body), dict)
    except Invalid as wrong:
        assert wrong.status == 400


@pytest.mark.parametrize(
    ("given_time", "taken"),
    [
        ("2026-03-01T12:00:00Z", True), ("2026-03-01t12:00:00.123456789z", True), ("2026-03-01T12:00:00+02:00", True),
        ("2026-03-01 12:00:00Z", False), ("2026-03-01T12:00:00", False), ("2026-02-30T12:00:00Z", False), ("2026-03-01", False),
        ("٢٠٢٦-03-01T12:00:00Z", False), (1767323045, False), ("0000-01-01T00:00:00Z", False),
    ],
)  # fmt: skip
def test_times_are_rfc_3339(given_time: Any, taken: bool) -> None:
    campaign = sending_pb2.Campaign()
    if taken:
        fill(campaign, {"created_at": given_time})
        assert campaign.HasField("created_at")
    else:
        with pytest.raises(Invalid):
            fill(campaign, {"created_at": given_time})


@pytest.mark.parametrize(
    ("number", "taken"), [(7, True), ("7", True), (2**63, False), ("x", False), (1.0, False), (True, False), ("٣", False)]
)
def test_long_numbers_are_numbers_or_decimal_strings(number: Any, taken: bool) -> None:
    campaign = sending_pb2.Campaign()
    if taken:
        fill(campaign, {"version": number})
        assert campaign.version == 7
    else:
        with pytest.raises(Invalid):
            fill(campaign, {"version": number})


def test_a_number_that_javascript_would_round_is_a_string() -> None:
    assert to_json(sending_pb2.Campaign(version=2**53 - 1))["version"] == 2**53 - 1
    assert to_json(sending_pb2.Campaign(version=2**53))["version"] == str(2**53)


def test_enum_values_go_by_either_name() -> None:
    for name in ("refused", "RECIPIENT_STATE_REFUSED"):
        request = sending_pb2.ListRecipientsRequest()
        fill(request, {"state": name})
        assert request.state == sending_pb2.RECIPIENT_STATE_REFUSED
    for name in ("", "REFUSED", 3, ["refused"]):
        with pytest.raises(Invalid):
            fill(sending_pb2.ListRecipientsRequest(), {"state": name})


def test_null_means_not_given() -> None:
    request = sending_pb2.CreateCampaignRequest()
    fill(request, {"name": None, "sender": None})
    assert request == sending_pb2.CreateCampaignRequest()


def test_a_value_of_a_newer_contract_is_a_number() -> None:
    assert to_json(subscribers_pb2.Import(state=cast(Any, 99)))["state"] == "99"


def test_faults_are_capped_and_names_are_cut() -> None:
    with pytest.raises(Invalid) as wrong:
        fill(sending_pb2.Campaign(), {f"{'x' * 500}\n{number}": 1 for number in range(500)})
    assert len(wrong.value.fields) == 50
    assert all(len(field.field) <= 64 and "\n" not in field.field for field in wrong.value.fields)


def test_every_row_of_the_table_fits_the_contract() -> None:
    for route in ROUTES:
        fields = route.method.request.fields_by_name
        assert set(route.parameters) <= set(fields), route.path
        assert not [name for name in route.hidden | frozenset(route.fixed) if name.partition(".")[0] not in fields], route.path
        assert route.method.needs_context == bool(route.method.scopes), route.path
        assert (route.status == 204) == (route.method.response.full_name == EMPTY), route.path
        json.dumps(to_json(GetMessageClass(route.method.response)()))


def test_enum_names_lose_their_prefix() -> None:
    statuses = sending_pb2.Campaign.Status.DESCRIPTOR
    names = [enum_value_name(statuses, value.name) for value in statuses.values]
    assert names == ["unspecified", "draft", "sending", "paused", "cancelled", "finished", "scheduled"]
