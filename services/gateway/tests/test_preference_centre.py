"""`/u/{token}/preferences`: what it shows, what its buttons ask of consent, and that a yes is taken to nothing but the words beside it."""

from __future__ import annotations

import hashlib
import html
from typing import Any

import pytest

from postlaw.consent.v1 import consent_pb2
from postlaw_common.testing.promises import promise
from postlaw_gateway.public_pages.languages import LANGUAGES
from postlaw_gateway.public_pages.texts import TEXTS
from services.gateway.tests.test_opt_out_page import outline

PAGE = "/u/good/preferences"
Change = consent_pb2.ChangePreferencesRequest
Preferences = consent_pb2.Preferences


def choice(open: bool, name: str = "", **scope: Any) -> Preferences.Choice:
    return Preferences.Choice(scope=consent_pb2.Scope(**scope), open=open, list_name=name)


@pytest.fixture
def stands(door: Any) -> Preferences:
    found: Preferences = door.consent.preferences
    news, offers = choice(True, "News & <more>", list_id="lst_1"), choice(False, "Offers", list_id="lst_2")
    found.choices.extend([news, offers, choice(False, topic="shoes")])
    return found


def forms(page: str) -> list[dict[str, str]]:
    """What each button of the page sends, in the order of reading."""
    found: list[dict[str, str]] = []
    hidden: dict[str, str] = {}
    for tag, attributes in outline(page).tags:
        if tag == "form":
            assert attributes["method"] == "post"
            hidden = {}
        elif tag == "input":
            hidden[str(attributes["name"])] = str(attributes["value"])
        elif tag == "button":
            found.append(hidden | {str(attributes["name"]): str(attributes["value"])})
    return found


def button(page: str, name: str, value: str) -> dict[str, str]:
    [sends] = [form for form in forms(page) if form.get(name) == value]
    return sends


def words_of(page: str, notice: str) -> str:
    """The one paragraph of the page whose words have this hash."""
    paragraphs = [html.unescape(part.partition("</p>")[0]) for part in page.split("<p>")[1:]]
    plain = [words.replace("<bdi>", "").replace("</bdi>", "") for words in paragraphs]
    [found] = {words for words in plain if hashlib.sha256(words.encode()).hexdigest() == notice}
    return found


async def test_opening_it_changes_nothing_and_shows_every_choice(door: Any, stands: Preferences) -> None:
    for verb in ("HEAD", "GET"):
        answer = await door.http.request(verb, PAGE)
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
        assert "script" not in answer.text
    assert door.consent.changes == []
    assert [form for form in forms(answer.text) if "notice" not in form] == [
        {"stop": "list:lst_1"}, {"stop": "everything"}, {"pause": "30"}, {"pause": "60"}, {"pause": "90"}, {"pause": "0"},
        {"tracking": "off"}, {"details": "send"}, {"language": "en"},
    ]  # fmt: skip
    assert button(answer.text, "start", "list:lst_2")
    assert button(answer.text, "start", "topic:shoes")
    assert button(answer.text, "tracking", "on")
    assert "“<bdi>News &amp; &lt;more&gt;</bdi>”" in answer.text
    assert set(door.consent.had_context) == {False}


@promise("M4")
async def test_it_says_whose_mail_it_is_and_for_which_address(door: Any, stands: Preferences) -> None:
    page = (await door.http.get(PAGE)).text
    for words in ("j•••@e•••.com", "Möbel &lt;Maier&gt;", "1 High St", "hello@maier.example", "Receipts and messages about your account"):
        assert words in page


async def test_the_unsubscribe_pages_lead_there_in_the_same_language(door: Any) -> None:
    for answer in (await door.http.get("/u/good?lang=de"), await door.http.post("/u/good?lang=de", data={"stop": "this"})):
        hrefs = [attributes["href"] for tag, attributes in outline(answer.text).tags if tag == "a"]
        assert "good/preferences?lang=de" in hrefs


@promise("G9")
@pytest.mark.parametrize(
    ("pressed", "asked"),
    [
        ({"stop": "list:lst_1"}, Change(change=Change.CHANGE_STOP, scope=consent_pb2.Scope(list_id="lst_1"))),
        ({"stop": "topic:größe 46"}, Change(change=Change.CHANGE_STOP, scope=consent_pb2.Scope(topic="größe 46"))),
        ({"stop": "brand:Größe & mehr"}, Change(change=Change.CHANGE_STOP, scope=consent_pb2.Scope(brand="Größe & mehr"))),
        ({"stop": "everything"}, Change(change=Change.CHANGE_STOP, scope=consent_pb2.Scope(everything=True))),
        ({"pause": "60"}, Change(change=Change.CHANGE_PAUSE, pause_days=60)),
        ({"pause": "0"}, Change(change=Change.CHANGE_PAUSE)),
        ({"tracking": "off"}, Change(change=Change.CHANGE_TRACKING_OFF)),
    ],
)
async def test_what_closes_is_asked_of_consent_at_once(door: Any, stands: Preferences, pressed: dict[str, str], asked: Change) -> None:
    door.identity.down = True  # it needs nobody's name
    answer = await door.http.post(f"{PAGE}?lang=de", data=pressed, headers={"accept-language": "fr"})
    assert answer.status_code == 200
    outline(answer.text)
    asked.token, asked.language = "good", "de"
    asked.scope.SetInParent()
    assert door.consent.changes == [asked]


@promise("G9")
@pytest.mark.parametrize("language", LANGUAGES)
async def test_everything_of_the_links_brand_can_be_stopped_beside_everything_of_the_sender(
    door: Any, stands: Preferences, language: str
) -> None:
    stands.brand = "A & <B>"
    page = (await door.http.get(f"{PAGE}?lang={language}")).text
    stops = [form["stop"] for form in forms(page) if "stop" in form]
    assert stops == ["list:lst_1", "brand:A & <B>", "everything"]
    assert "<bdi>A &amp; &lt;B&gt;</bdi>" in page
    stands.brand_stopped = True
    stopped = (await door.http.get(f"{PAGE}?lang={language}")).text
    assert [form["stop"] for form in forms(stopped) if "stop" in form] == ["list:lst_1", "everything"]
    assert TEXTS[language]["brand_stopped"].partition("{brand}")[0] in stopped


async def test_a_brand_that_was_stopped_is_a_choice_and_can_be_started_again(door: Any, stands: Preferences) -> None:
    stands.choices.append(choice(False, brand="Acme"))
    page = (await door.http.get(PAGE)).text
    pressed = button(page, "start", "brand:Acme")
    assert "all mail of the brand “Acme” from Möbel" in words_of(page, pressed["notice"])
    answer = await door.http.post(PAGE, data=pressed)
    assert answer.status_code == 200
    assert door.consent.changes[-1].scope == consent_pb2.Scope(brand="Acme")


@promise("G2")
async def test_recorded_is_said_there_as_on_the_unsubscribe_page(door: Any, stands: Preferences) -> None:
    door.consent.outcome = consent_pb2.OUTCOME_RECORDED
    for pressed in ({"stop": "list:lst_1"}, {"pause": "30"}):
        page = await door.http.post(PAGE, data=pressed)
        assert "Done. One message already on its way may still arrive." in page.text


@promise("G2")
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("name", "value", "change", "about"),
    [
        ("start", "list:lst_2", Change.CHANGE_START, "Offers"),
        ("start", "topic:shoes", Change.CHANGE_START, "shoes"),
        ("resume", "yes", Change.CHANGE_RESUME, ""),
        ("tracking", "on", Change.CHANGE_TRACKING_ON, ""),
    ],
)
async def test_a_yes_is_recorded_with_the_very_words_that_stood_beside_the_button(
    door: Any, stands: Preferences, language: str, name: str, value: str, change: Any, about: str
) -> None:
    stands.paused = True
    page = (await door.http.get(f"{PAGE}?lang={language}")).text
    sends = button(page, name, value)
    assert (await door.http.post(f"{PAGE}?lang={language}", data=sends)).status_code == 200
    [asked] = door.consent.changes
    assert (asked.change, asked.language, asked.contact_shown) == (change, language, True)
    assert asked.wording == words_of(page, sends["notice"])
    assert "Möbel <Maier>" in asked.wording
    assert about in asked.wording
    assert "•••" not in asked.wording, "a notice is nobody's"


@promise("G2")
async def test_a_yes_to_words_that_have_changed_meanwhile_is_none(door: Any, stands: Preferences) -> None:
    sends = button((await door.http.get(PAGE)).text, "start", "list:lst_2")
    stands.choices[1].list_name = "Daily offers"
    answer = await door.http.post(PAGE, data=sends)
    assert (answer.status_code, door.consent.changes) == (409, [])
    assert TEXTS["en"]["look_again"] in answer.text
    assert (await door.http.post(PAGE, data=button(answer.text, "start", "list:lst_2"))).status_code == 200
    assert len(door.consent.changes) == 1


async def test_a_yes_says_that_the_sender_can_be_reached_only_where_the_page_says_how(door: Any, stands: Preferences) -> None:
    door.identity.contact = ""
    sends = button((await door.http.get(PAGE)).text, "start", "list:lst_2")
    await door.http.post(PAGE, data=sends)
    assert [asked.contact_shown for asked in door.consent.changes] == [False]


async def test_no_yes_can_be_given_to_somebody_without_a_name(door: Any, stands: Preferences) -> None:
    door.identity.name = ""
    page = (await door.http.get(PAGE)).text
    assert not [form for form in forms(page) if "notice" in form]
    assert TEXTS["en"]["no_yes_now"] in page
    assert (await door.http.post(PAGE, data={"start": "list:lst_2", "notice": "0" * 64})).status_code == 503
    assert door.consent.changes == []


async def test_a_pause_is_shown_with_its_end_and_can_be_ended(door: Any, stands: Preferences) -> None:
    stands.paused = True
    stands.paused_until.FromJsonString("2026-03-01T00:00:00Z")
    page = (await door.http.get(f"{PAGE}?lang=de")).text
    assert "Bis zum 1. März 2026 ist alles in Pause." in page
    assert button(page, "resume", "yes")
    assert not [form for form in forms(page) if "pause" in form]
    stands.ClearField("paused_until")
    assert TEXTS["en"]["paused_open"] in (await door.http.get(PAGE)).text


@pytest.mark.parametrize(
    ("tracking", "values"),
    [(Preferences.TRACKING_GIVEN, ["off"]), (Preferences.TRACKING_REFUSED, ["on"]), (Preferences.TRACKING_UNSPECIFIED, ["off", "on"])],
)
async def test_tracking_is_switched_from_how_it_stands(door: Any, stands: Preferences, tracking: Any, values: list[str]) -> None:
    stands.tracking = tracking
    page = (await door.http.get(PAGE)).text
    assert [form["tracking"] for form in forms(page) if "tracking" in form] == values


async def test_after_everything_there_is_nothing_more_to_stop(door: Any, stands: Preferences) -> None:
    stands.everything_stopped = True
    page = (await door.http.get(PAGE)).text
    assert {"stop": "everything"} not in forms(page)
    assert "You have stopped everything from" in page


async def test_who_presses_twice_hears_that_it_was_done(door: Any, stands: Preferences) -> None:
    first = await door.http.post(PAGE, data={"pause": "30"})
    second = await door.http.post(PAGE, data={"pause": "30"})
    assert (TEXTS["en"]["said_before"] in first.text, TEXTS["en"]["said_before"] in second.text) == (False, True)


@pytest.mark.parametrize(
    "pressed",
    [
        {"List-Unsubscribe": "One-Click"}, {"stop": ""}, {"stop": "this"}, {"stop": "list:"}, {"stop": "list:" + "x" * 65},
        {"start": "everything"}, {"start": "list:lst_9"}, {"start": "list:lst_2"}, {"pause": "31"}, {"pause": ""}, {"resume": "no"},
        {"resume": "yes"}, {"tracking": "maybe"},
        {"tracking": "on", "notice": "0" * 64}, {},
    ],
)  # fmt: skip
async def test_what_is_none_of_its_buttons_changes_nothing(door: Any, stands: Preferences, pressed: dict[str, str]) -> None:
    answer = await door.http.post(PAGE, data=pressed)
    assert answer.status_code in (400, 409)
    assert answer.headers["content-type"].startswith("text/html")
    assert door.consent.changes == []


async def test_nothing_can_be_started_that_is_none_of_the_persons_choices(door: Any, stands: Preferences) -> None:
    assert (await door.http.post(PAGE, data={"start": "list:lst_9"})).status_code == 400
    assert door.consent.changes == []


@promise("S3")
async def test_a_wrong_token_gets_the_same_page_there_and_is_told_to_the_security_topic(door: Any) -> None:
    wrong = (await door.http.get("/u/another")).content
    for path in ("/u/forged/preferences", "/u//preferences", "/u/a b/preferences", "/u/good/preferences/", "/u/good/elsewhere"):
        answer = await door.http.get(path)
        assert (answer.status_code, answer.content) == (404, wrong)
    assert (await door.http.post("/u/forged/preferences", data={"stop": "everything"})).content == wrong
    assert "/u/{token}/preferences" in {event.path for event in await door.security_events(7)}
    assert door.consent.changes == []


async def test_a_ledger_that_is_away_is_no_success(door: Any, stands: Preferences) -> None:
    door.consent.away = True
    for answer in (await door.http.get(PAGE), await door.http.post(PAGE, data={"stop": "everything"})):
        assert answer.status_code == 503
        assert "Please try again" in answer.text


async def test_other_verbs_are_not_answered(door: Any) -> None:
    answer = await door.http.put(PAGE)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")
