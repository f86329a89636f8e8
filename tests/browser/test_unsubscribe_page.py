"""The unsubscribe page and its confirmation, as people meet them: on a phone, by keyboard, in the dark, without scripts."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.async_api import Browser, Page

from postlaw.consent.v1 import consent_pb2
from postlaw_common.testing.promises import promise
from postlaw_gateway.public_pages.languages import LANGUAGES
from postlaw_gateway.public_pages.texts import TEXTS
from tests.browser.visits import (
    LIST_NAME,
    POSTAL_ADDRESS,
    SENDER,
    SMALLEST,
    Mailing,
    barriers,
    focused,
    visit,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

WITHDRAWN = consent_pb2.ConsentEvent.KIND_WITHDRAWN


async def text_of(page: Page) -> str:
    return await page.locator("body").inner_text()


@promise("M5")
@pytest.mark.parametrize(("language", "scheme"), [*((language, "light") for language in LANGUAGES), ("en", "dark")])
async def test_nobody_is_kept_out_in_any_language_on_the_smallest_screen_or_in_the_dark(
    browser: Browser, mailing: Mailing, language: str, scheme: Literal["light", "dark"]
) -> None:
    person = await mailing.person()
    async with visit(browser, language=language, scheme=scheme, size=SMALLEST, scripts=True) as page:
        await page.goto(person.link)
        assert await page.locator("html").get_attribute("lang") == language
        assert await barriers(page) == []
        await page.get_by_role("button").first.click()
        assert TEXTS[language]["said_stopped"] in await text_of(page)
        assert await barriers(page) == []


@promise("M5", "G9")
async def test_opening_the_link_in_any_language_stops_nothing_and_one_press_does(browser: Browser, mailing: Mailing) -> None:
    person = await mailing.person()
    async with visit(browser) as page:
        await page.goto(person.link)
        for language in LANGUAGES:
            await page.get_by_role("link", name=TEXTS[language]["language"]).click()
            assert await page.locator("html").get_attribute("lang") == language
        assert await mailing.events(person) == []
        await page.get_by_role("button", name=TEXTS["es"]["button_this"]).click()
        assert TEXTS["es"]["said_stopped"] in await text_of(page)
    [event] = await mailing.events(person)
    assert (event.kind, event.scope.list_id, event.route) == (WITHDRAWN, mailing.list_id, consent_pb2.ROUTE_PAGE)


@promise("M4", "M5")
async def test_it_says_whose_mail_it_is_for_which_address_what_stops_and_what_still_comes(browser: Browser, mailing: Mailing) -> None:
    person = await mailing.person()
    async with visit(browser) as page:
        await page.goto(person.link)
        for press in (False, True):
            if press:
                await page.get_by_role("button", name="Stop this mail").click()
            said = await text_of(page)
            for words in ("j•••@e•••.com", SENDER, POSTAL_ADDRESS, LIST_NAME, "Receipts and messages about your account may still come"):
                assert words in said
            assert "jane" not in await page.content()


@promise("G2")
async def test_recorded_is_said_as_what_it_is(browser: Browser, unconfirmed: Mailing) -> None:
    person = await unconfirmed.person()
    async with visit(browser, scripts=True) as page:
        await page.goto(person.link)
        await page.get_by_role("button").first.click()
        assert await page.get_by_role("status").inner_text() == "Done. One message already on its way may still arrive."
        assert await page.title() == "Your request is recorded"
        assert await barriers(page) == []
    assert [event.kind for event in await unconfirmed.events(person)] == [WITHDRAWN]


@promise("M5")
@pytest.mark.parametrize("key", ["Enter", " "])
async def test_it_is_done_by_keyboard_alone_in_the_order_of_reading(browser: Browser, mailing: Mailing, key: str) -> None:
    person = await mailing.person()
    async with visit(browser) as page:
        await page.goto(person.link)
        others = f"Choose what {SENDER} sends you, or pause it"
        stops = ["Stop this mail", f"Stop everything from {SENDER}", others, *(TEXTS[language]["language"] for language in LANGUAGES)]
        for words in stops:
            await page.keyboard.press("Tab")
            text, line = await focused(page)
            assert text == words
            assert line >= 2, "one sees where one is"
        for _ in stops[1:]:
            await page.keyboard.press("Shift+Tab")
        assert (await focused(page))[0] == "Stop this mail"
        async with page.expect_navigation():
            await page.keyboard.press(key)
        assert "Done. The mail has stopped." in await text_of(page)
    assert [event.scope.list_id for event in await mailing.events(person)] == [mailing.list_id]


async def test_pressing_twice_and_sending_the_form_again_is_as_good_as_once(browser: Browser, mailing: Mailing) -> None:
    person = await mailing.person()
    async with visit(browser) as page:
        await page.goto(person.link)
        await page.get_by_role("button", name="Stop this mail").dblclick()
        await page.wait_for_selector("[role=status]")
        await page.reload()
        assert "You had asked for this before." in await text_of(page)
        await page.goto(person.link)
        assert "You have stopped this already." in await text_of(page)
    assert len(await mailing.events(person)) == 1


@promise("G9")
async def test_after_one_list_everything_can_be_stopped_and_then_nothing_is_left_to_press(browser: Browser, mailing: Mailing) -> None:
    person = await mailing.person()
    async with visit(browser) as page:
        await page.goto(person.link)
        await page.get_by_role("button", name="Stop this mail").click()
        await page.get_by_role("button", name="Stop everything else").click()
        assert f"all mail from {SENDER}" in await text_of(page)
        assert await page.get_by_role("button").count() == 0
    assert [event.scope.WhichOneof("of") for event in await mailing.events(person)] == ["list_id", "everything"]


async def test_a_forged_link_says_so_and_shows_nobody(browser: Browser, mailing: Mailing) -> None:
    person = await mailing.person()
    forged = person.link[:-4] + "AAAA"
    async with visit(browser, size=SMALLEST, scripts=True) as page:
        answer = await page.goto(forged)
        assert answer is not None
        assert answer.status == 404
        said = await text_of(page)
        assert "This link does not work" in said
        assert "•••" not in said
        assert SENDER not in said
        assert await barriers(page) == []
