"""The preference centre, as people meet it: from the unsubscribe page, on a phone, by keyboard, in the dark, without scripts."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.async_api import Browser, Page

from postlaw.consent.v1 import consent_pb2
from postlaw_common.testing.promises import promise
from postlaw_gateway.public_pages.languages import LANGUAGES
from postlaw_gateway.public_pages.texts import TEXTS
from tests.browser.visits import (
    CONTACT,
    LIST_NAME,
    POSTAL_ADDRESS,
    SENDER,
    SMALLEST,
    TOPIC,
    Mailing,
    Person,
    barriers,
    focused,
    visit,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

Kind = consent_pb2.ConsentEvent
EN = TEXTS["en"]


async def centre(page: Page, person: Person) -> None:
    """By the link of the unsubscribe page."""
    await page.goto(person.link)
    await page.get_by_role("link", name="Choose what").click()
    assert await page.locator("h1").inner_text() == EN["title_preferences"]


async def press(page: Page, name: str) -> str:
    """Presses a button; what the page then says."""
    async with page.expect_navigation():
        await page.get_by_role("button", name=name, exact=True).click()
    return await page.get_by_role("status").inner_text()


async def kinds(mailing: Mailing, person: Person) -> list[int]:
    return [event.kind for event in await mailing.events(person)]


@promise("M5", "G7")
@pytest.mark.parametrize(("language", "scheme"), [*((language, "light") for language in LANGUAGES), ("en", "dark")])
async def test_nobody_is_kept_out_in_any_language_on_the_smallest_screen_or_in_the_dark(
    browser: Browser, mailing: Mailing, language: str, scheme: Literal["light", "dark"]
) -> None:
    person, texts = await mailing.subscriber(), TEXTS[language]
    async with visit(browser, language=language, scheme=scheme, size=SMALLEST, scripts=True) as page:
        await page.goto(f"{person.link}/preferences")
        assert await page.locator("html").get_attribute("lang") == language
        assert await barriers(page) == []
        await press(page, texts["button_stop_one"].format(name=texts["quoted"].format(name=TOPIC)))
        assert texts["changed_pause"] in await press(page, texts["button_pause_days"].format(days=30))
        assert await barriers(page) == []


@promise("G9", "G2")
async def test_one_thing_is_stopped_and_started_again_and_the_words_of_the_yes_are_kept(browser: Browser, mailing: Mailing) -> None:
    person = await mailing.subscriber()
    async with visit(browser) as page:
        await centre(page, person)
        assert await kinds(mailing, person) == [Kind.KIND_GIVEN] * 2
        assert await press(page, f"Stop “{LIST_NAME}”") == "Done. The mail has stopped."
        yes = f"Yes, I want mail on the mailing list “{LIST_NAME}” from {SENDER} again."
        assert yes in await page.locator("main").inner_text()
        assert await press(page, f"Start “{LIST_NAME}” again") == "Done. You will get this mail again."
        assert await page.get_by_role("button", name=f"Stop “{TOPIC}”").count() == 1
    stopped, started = (await mailing.events(person))[2:]
    assert (stopped.kind, stopped.scope.list_id, stopped.route) == (Kind.KIND_WITHDRAWN, mailing.list_id, consent_pb2.ROUTE_PAGE)
    assert (started.kind, started.scope.list_id, started.route) == (Kind.KIND_GIVEN, mailing.list_id, consent_pb2.ROUTE_PAGE)
    assert started.notice_hash
    assert set(started.particulars.held) == {
        consent_pb2.EVIDENCE_AFFIRMATIVE_ACT, consent_pb2.EVIDENCE_CONTACT_SHOWN, consent_pb2.EVIDENCE_PURPOSE,
        consent_pb2.EVIDENCE_REQUESTER_NAMED, consent_pb2.EVIDENCE_SEPARATE, consent_pb2.EVIDENCE_WITHDRAWAL_INFO,
    }  # fmt: skip
    assert started.particulars.language == "en"


@promise("M4")
async def test_it_says_whose_mail_it_is_and_for_which_address(browser: Browser, mailing: Mailing) -> None:
    person = await mailing.subscriber()
    async with visit(browser) as page:
        await centre(page, person)
        said = await page.locator("body").inner_text()
        for words in ("j•••@e•••.com", SENDER, POSTAL_ADDRESS, CONTACT, LIST_NAME, TOPIC):
            assert words in said
        assert "jane" not in await page.content(), "a forwarded link shows nobody"


@promise("G7")
async def test_everything_is_paused_with_an_end_or_without_and_goes_on_when_the_person_says_so(browser: Browser, mailing: Mailing) -> None:
    person = await mailing.subscriber()
    async with visit(browser) as page:
        await centre(page, person)
        await press(page, "Pause for 30 days")
        [paused] = [event for event in await mailing.events(person) if event.kind == Kind.KIND_PAUSED]
        until = paused.particulars.until.ToDatetime()
        assert f"Everything is paused until {until.day} {until:%B} {until.year}." in await page.locator("main").inner_text()
        assert await press(page, "End the pause") == "Done. The pause has ended."
        await press(page, "Pause until I end it")
        assert EN["paused_open"] in await page.locator("main").inner_text()
        await press(page, "End the pause")
    assert (await kinds(mailing, person))[2:] == [Kind.KIND_PAUSED, Kind.KIND_RESUMED] * 2


@promise("M9")
async def test_tracking_is_refused_and_allowed(browser: Browser, mailing: Mailing) -> None:
    person = await mailing.subscriber()
    async with visit(browser) as page:
        await centre(page, person)
        await press(page, "Do not note it")
        await press(page, "Allow it")
        assert await page.get_by_role("button", name="Allow it").count() == 0
    assert (await kinds(mailing, person))[2:] == [Kind.KIND_TRACKING_WITHDRAWN, Kind.KIND_TRACKING_GIVEN]


@promise("G9", "M5")
async def test_everything_is_one_press_away(browser: Browser, mailing: Mailing) -> None:
    person = await mailing.subscriber()
    async with visit(browser) as page:
        await centre(page, person)
        assert await press(page, f"Stop everything from {SENDER}") == "Done. The mail has stopped."
        assert await page.get_by_text("Stopped.", exact=True).count() == 2
    assert [event.scope.everything for event in await mailing.events(person)] == [False, False, True]


async def test_pressing_twice_and_sending_the_form_again_is_as_good_as_once(browser: Browser, mailing: Mailing) -> None:
    person = await mailing.subscriber()
    async with visit(browser) as page:
        await centre(page, person)
        await page.get_by_role("button", name="Pause for 60 days").dblclick()
        await page.wait_for_selector("[role=status]")
        await page.reload()
        assert "You had asked for this before." in await page.get_by_role("status").inner_text()
    assert (await kinds(mailing, person))[2:] == [Kind.KIND_PAUSED]


@promise("G2")
async def test_recorded_is_said_as_what_it_is(browser: Browser, unconfirmed: Mailing) -> None:
    person = await unconfirmed.subscriber()
    async with visit(browser) as page:
        await centre(page, person)
        assert await press(page, f"Stop “{LIST_NAME}”") == "Done. One message already on its way may still arrive."


async def test_it_is_done_by_keyboard_alone_in_the_order_of_reading(browser: Browser, mailing: Mailing) -> None:
    person = await mailing.subscriber()
    async with visit(browser) as page:
        await page.goto(f"{person.link}/preferences")
        stops = [
            f"Stop “{LIST_NAME}”", f"Stop “{TOPIC}”", f"Stop everything from {SENDER}", "Pause for 30 days", "Pause for 60 days",
            "Pause for 90 days", "Pause until I end it", "Do not note it", "Allow it", "Send me a link to my details",
            "Always use English",
            *(TEXTS[language]["language"] for language in LANGUAGES),
        ]  # fmt: skip
        for words in stops:
            await page.keyboard.press("Tab")
            text, line = await focused(page)
            assert text == words
            assert line >= 2, "one sees where one is"
        for _ in stops[2:]:
            await page.keyboard.press("Shift+Tab")
        async with page.expect_navigation():
            await page.keyboard.press("Enter")
        assert await page.get_by_role("status").inner_text() == "Done. The mail has stopped."
    assert [event.scope.topic for event in await mailing.events(person)] == ["", TOPIC, TOPIC]


@promise("G9")
async def test_a_language_that_is_kept_is_what_the_person_gets_from_then_on_without_a_cookie(browser: Browser, mailing: Mailing) -> None:
    person = await mailing.subscriber()
    async with visit(browser, language="es") as page:
        await page.goto(f"{person.link}/preferences")
        await page.get_by_role("link", name="Français").click()
        await press(page, TEXTS["fr"]["button_language"])
    async with visit(browser, language="de", size=SMALLEST, scripts=True) as page:
        await page.goto(person.link)
        assert await page.locator("html").get_attribute("lang") == "fr"
        await page.goto(f"{person.link}/preferences")
        assert TEXTS["fr"]["language_kept"] in await page.locator("body").inner_text()
        assert await barriers(page) == []
        await page.get_by_role("link", name="English").click()
        assert await page.locator("html").get_attribute("lang") == "en"
    assert await kinds(mailing, person) == [Kind.KIND_GIVEN] * 2
