"""`/p/{token}`, and the way there: a person's details are shown behind a link to their own address alone, and corrected once."""

from __future__ import annotations

from typing import Any

import pytest

from postlaw.consent.v1 import consent_pb2
from postlaw_common.testing.promises import promise
from postlaw_gateway.public_pages.languages import LANGUAGES
from postlaw_gateway.public_pages.texts import TEXTS
from services.gateway.tests.test_opt_out_page import outline

PAGE = "/p/good"
Link = consent_pb2.ProfileLink
EN = TEXTS["en"]
SAVED = {
    "save": "yes", "version": "3", "address": "jane@example.com", "name.0": "first_name", "value.0": "Janet", "name.1": "Ort & <mehr>",
    "value.1": "",
}  # fmt: skip


def inputs(page: str) -> dict[str, str]:
    return {str(attributes["name"]): str(attributes["value"]) for tag, attributes in outline(page).tags if tag == "input"}


@promise("G4")
async def test_the_preference_centre_shows_no_details_and_has_a_link_mailed(door: Any) -> None:
    page = (await door.http.get("/u/good/preferences")).text
    assert "Jane" not in page
    assert door.consent.links_asked == []
    answer = await door.http.post("/u/good/preferences?lang=de", data={"details": "send"})
    assert (answer.status_code, answer.headers["content-language"]) == (200, "de")
    assert [(asked.token, asked.language) for asked in door.consent.links_asked] == [("good", "de")]
    assert (await door.http.post("/u/forged/preferences", data={"details": "send"})).status_code == 404
    assert len(door.consent.links_asked) == 1


async def test_a_block_of_addresses_that_asks_too_often_is_told_to_wait(door: Any) -> None:
    answers = [await door.http.post("/u/good/preferences", data={"details": "send"}) for _ in range(22)]
    assert [answer.status_code for answer in answers].count(429) == 2
    assert len(door.consent.links_asked) == 20


@promise("G4")
async def test_opening_the_link_shows_what_can_be_corrected_and_changes_nothing(door: Any) -> None:
    for verb in ("HEAD", "GET"):
        answer = await door.http.request(verb, PAGE)
        assert (answer.status_code, answer.headers["cache-control"], answer.headers["referrer-policy"]) == (200, "no-store", "no-referrer")
    assert inputs(answer.text) == {
        "version": "3", "address": "jane@example.com", "name.0": "first_name", "value.0": "Jane", "name.1": "Ort & <mehr>",
        "value.1": '"Graz"',
    }  # fmt: skip
    assert "<bdi>first name</bdi>" in answer.text
    assert "<bdi>Ort &amp; &lt;mehr&gt;</bdi>" in answer.text
    assert 'autocomplete="given-name"' in answer.text
    assert "Möbel &lt;Maier&gt;" in answer.text
    assert door.consent.link_used == []


@promise("G4")
async def test_saving_asks_consent_for_what_was_typed_at_the_version_that_was_shown(door: Any) -> None:
    door.consent.becomes = Link(
        kind=Link.KIND_DETAILS, state=Link.STATE_USED, tenant_id="ten_1", done=True, address_asked=True, opt_out_token="mine"
    )
    answer = await door.http.post(f"{PAGE}?lang=fr", data=SAVED)
    assert answer.status_code == 200
    [used] = door.consent.link_used
    assert {detail.name: detail.value for detail in used.details} == {"first_name": "Janet", "Ort & <mehr>": ""}
    assert (used.address, used.if_version, used.language) == ("jane@example.com", 3, "fr")
    assert TEXTS["fr"]["said_details_done"] in answer.text
    assert "Janet" not in answer.text
    hrefs = [attributes["href"] for tag, attributes in outline(answer.text).tags if tag == "a"]
    assert "../u/mine/preferences?lang=fr" in hrefs


@promise("G4")
@pytest.mark.parametrize(
    ("problem", "status", "said"), [("STALE", 409, "look_again"), ("ADDRESS", 422, "need_address"), ("DETAILS", 422, "need_details")]
)
async def test_what_could_not_be_saved_says_why_and_what_was_typed_stays_unless_it_is_out_of_date(
    door: Any, problem: str, status: int, said: str
) -> None:
    door.consent.becomes = Link()
    door.consent.becomes.CopyFrom(door.consent.profile_link)
    door.consent.becomes.problem = Link.Problem.Value(f"PROBLEM_{problem}")
    answer = await door.http.post(PAGE, data=SAVED)
    assert answer.status_code == status
    assert EN[said] in answer.text
    assert inputs(answer.text)["value.0"] == ("Jane" if problem == "STALE" else "Janet")


@promise("G4")
@pytest.mark.parametrize("sent", [{}, {"save": "no"}, SAVED | {"version": "x"}, SAVED | {"address": "jane"}])
async def test_what_no_button_sends_changes_nothing(door: Any, sent: dict[str, str]) -> None:
    assert (await door.http.post(PAGE, data=sent)).status_code in (400, 422)
    assert (await door.http.post("/p/forged", data=SAVED)).status_code == 404
    assert door.consent.link_used == []


@promise("G4", "G9")
@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_link_says_in_every_language_where_it_stands(door: Any, language: str) -> None:
    link, texts = door.consent.profile_link, TEXTS[language]
    for kind, state, title, buttons in (
        ("DETAILS", "OPEN", "title_details", 1),
        ("DETAILS", "USED", "title_used", 0),
        ("DETAILS", "EXPIRED", "title_expired", 0),
        ("ADDRESS", "OPEN", "title_address", 1),
        ("ADDRESS", "USED", "title_used", 0),
        ("ADDRESS", "EXPIRED", "title_expired", 0),
    ):
        link.kind, link.state = Link.Kind.Value(f"KIND_{kind}"), Link.State.Value(f"STATE_{state}")
        page = (await door.http.get(PAGE, headers={"accept-language": language})).text
        assert texts[title] in page
        assert [tag for tag, _ in outline(page).tags].count("button") == buttons
    assert door.consent.link_used == []


@promise("G4")
async def test_only_a_press_of_the_button_confirms_an_address(door: Any) -> None:
    door.consent.profile_link.kind = Link.KIND_ADDRESS
    page = (await door.http.get(PAGE)).text
    assert "<bdi>jane@example.com</bdi>" in page
    assert door.consent.link_used == []
    door.consent.becomes = Link(kind=Link.KIND_ADDRESS, state=Link.STATE_USED, tenant_id="ten_1", done=True, opt_out_token="mine")
    assert EN["title_address_done"] in (await door.http.post(PAGE, data={"confirm": "yes"})).text
    door.consent.becomes = Link(kind=Link.KIND_ADDRESS, state=Link.STATE_OPEN, tenant_id="ten_1", problem=Link.PROBLEM_ADDRESS_TAKEN)
    assert (await door.http.post(PAGE, data={"confirm": "yes"})).status_code == 409
    assert [list(used.details) for used in door.consent.link_used] == [[], []]
