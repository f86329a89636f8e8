"""`/f/{form_id}` and `/c/{token}`: one answer to every sign-up, what stands against programs, and that looking changes nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest

from postlaw.consent.v1 import consent_pb2
from postlaw_common.testing.promises import promise
from postlaw_gateway.public_pages import form_tokens
from postlaw_gateway.public_pages.form_tokens import LIFE_US, SHOWN_US, FormTokens
from postlaw_gateway.public_pages.languages import LANGUAGES
from postlaw_gateway.public_pages.texts import TEXTS
from postlaw_gateway.public_pages.visitors import Visitor
from services.gateway.tests.played.consent import FORM_ID
from services.gateway.tests.test_opt_out_page import outline

FORM = f"/f/{FORM_ID}"
PAGE = {"accept": "text/html"}


def token_in(page: str) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found is not None
    return found[1]


async def filled(door: Any, address: str = "jane@example.com", **changed: str) -> dict[str, str]:
    """What a browser sends that has shown the form."""
    return {"token": token_in((await door.http.get(FORM)).text), "address": address, "agreed": "yes"} | changed


@pytest.fixture(autouse=True)
def nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that a person takes is the tokens' own test's."""
    monkeypatch.setattr(form_tokens, "SHOWN_US", 0)


@promise("G12", "G2")
async def test_a_form_names_who_asks_what_for_and_how_to_stop_and_its_box_is_not_ticked(door: Any) -> None:
    page = (await door.http.get(FORM)).text
    found = outline(page)
    for words in ("Acme", "1 High Street", "news@acme.example", "Weekly news", "Yes, send it.", "You can stop at any time"):
        assert words in page
    [box] = [attributes for tag, attributes in found.tags if tag == "input" and attributes.get("type") == "checkbox"]
    assert "checked" not in box
    assert "script" not in [tag for tag, _ in found.tags]


@promise("G12")
async def test_what_is_held_of_a_sign_up_is_what_was_true_of_the_page(door: Any) -> None:
    await door.http.post(FORM, data=await filled(door), headers=PAGE)
    token = (await door.http.get(FORM + "/token")).json()["token"]
    theirs = {"token": token, "address": "jane@example.com", "agreed": "yes"}
    answer = await door.http.post(FORM, data=theirs, headers={"accept": "application/json"})
    assert (answer.status_code, answer.json()) == (200, {"taken": True})
    assert answer.headers["access-control-allow-origin"] == "*"
    ours, on_theirs = door.consent.signed_up
    assert set(ours.held) == {"affirmative_act", "separate", "requester_named", "withdrawal_info", "contact_shown", "purpose"}
    assert list(on_theirs.held) == ["affirmative_act"]


@promise("G12")
async def test_an_international_address_is_the_same_from_a_form_of_either_kind(door: Any) -> None:
    sent = await filled(door, "jürgen@müller.example")
    await door.http.post(FORM, data=sent, headers=PAGE)
    await door.http.post(FORM, files={name: (None, value) for name, value in sent.items()}, headers=PAGE)
    assert [one.address for one in door.consent.signed_up] == ["jürgen@müller.example"] * 2


@promise("G12")
@pytest.mark.parametrize(
    ("changed", "said"), [({"agreed": ""}, "need_agreed"), ({"address": "jane"}, "need_address"), ({"token": "x"}, "need_token")]
)
async def test_without_the_act_or_an_address_nothing_is_taken_and_the_form_says_why(door: Any, changed: dict[str, str], said: str) -> None:
    answer = await door.http.post(FORM, data=await filled(door) | changed, headers=PAGE)
    assert answer.status_code == 422
    assert TEXTS["en"][said] in answer.text
    assert door.consent.signed_up == []
    assert (await door.http.post(FORM, data=await filled(door) | changed, headers={"accept": "application/json"})).status_code == 400


async def test_a_program_that_fills_in_every_field_gets_the_answer_of_everyone_and_is_not_heard(door: Any) -> None:
    answers = [await door.http.post(FORM, data=await filled(door, website=trap), headers=PAGE) for trap in ("", "https://spam.example")]
    assert len({(answer.status_code, answer.text) for answer in answers}) == 1
    assert len(door.consent.signed_up) == 1


async def test_a_block_of_addresses_that_signs_up_too_often_is_told_to_wait(door: Any) -> None:
    sent = await filled(door)
    answers = [await door.http.post(FORM, data=sent, headers=PAGE) for _ in range(25)]
    late = [answer for answer in answers if answer.status_code == 429]
    assert len(late) == 5 and int(late[0].headers["retry-after"]) >= 1
    assert len(door.consent.signed_up) == 20


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("192.0.2.1", "192.0.2.200", True),
        ("192.0.2.1", "192.0.3.1", False),
        ("2001:db8:1:2::1", "2001:db8:1:ffff::9", True),
        ("2001:db8:1::1", "2001:db8:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.7", True),
        ("", "nonsense", True),
    ],
)
def test_a_block_is_what_one_sender_takes_addresses_from(one: str, other: str, alike: bool) -> None:
    assert (Visitor(one).block == Visitor(other).block) is alike


async def test_a_forms_token_is_good_for_its_form_and_its_page_from_two_seconds_to_two_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form_tokens, "SHOWN_US", SHOWN_US)
    now = 1_000_000_000

    async def key(name: str) -> bytes:
        return name.encode().ljust(32)

    tokens = FormTokens(key, lambda: now)
    token = await tokens.mint("frm_1", "ours")
    assert await tokens.judge(token, "frm_1", "ours") == "early"
    now += SHOWN_US
    assert await tokens.judge(token, "frm_1", "ours") == "good"
    assert [await tokens.judge(token, "frm_2", "ours"), await tokens.judge(token, "frm_1", "theirs")] == ["bad", "bad"]
    assert [await tokens.judge(wrong, "frm_1", "ours") for wrong in ("", "é", token[:-4], "A" * 32)] == ["bad"] * 4
    now += LIFE_US
    assert await tokens.judge(token, "frm_1", "ours") == "bad"


@promise("G12")
async def test_a_retired_form_is_gone_and_says_so_and_its_links_still_confirm(door: Any) -> None:
    sent = await filled(door)
    door.consent.form.retired_at.FromSeconds(1)
    door.consent.confirmation.form.retired_at.FromSeconds(1)
    for answer in (await door.http.get(FORM), await door.http.post(FORM, data=sent, headers=PAGE)):
        assert answer.status_code == 410
        assert TEXTS["en"]["retired"] in answer.text
    for answer in (await door.http.get(FORM + "/token"), await door.http.post(FORM, data=sent, headers={"accept": "application/json"})):
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (410, "form-retired")
    assert door.consent.signed_up == []
    assert (await door.http.post("/c/good", data={"confirm": "yes"})).status_code == 200


@promise("G12", "G9")
@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_confirmation_link_says_in_every_language_where_it_stands(door: Any, language: str) -> None:
    for state, name in (("OPEN", "confirm"), ("CONFIRMED", "confirmed"), ("EXPIRED", "expired"), ("VOID", "void")):
        door.consent.confirmation.state = consent_pb2.Confirmation.State.Value(f"STATE_{state}")
        page = await door.http.get("/c/good", headers={"accept-language": language})
        assert TEXTS[language][f"title_{name}"] in page.text
        assert [tag for tag, _ in outline(page.text).tags].count("button") == (state == "OPEN")
    assert door.consent.confirmed == []


@promise("G12")
async def test_only_a_press_of_the_button_confirms(door: Any) -> None:
    assert (await door.http.post("/c/good", data={})).status_code == 400
    assert (await door.http.get("/c/forged")).status_code == 404
    assert door.consent.confirmed == []
    assert (await door.http.post("/c/good", data={"confirm": "yes"})).status_code == 200
    assert [request.contact_shown for request in door.consent.confirmed] == [True]
