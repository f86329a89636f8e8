"""A person's own details, as they meet them: behind a link in a mail to their own address, on a phone, by keyboard, in the dark."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.async_api import Browser, Page

from postlaw_common.testing.promises import promise
from postlaw_gateway.public_pages.languages import LANGUAGES
from postlaw_gateway.public_pages.texts import TEXTS
from tests.browser.visits import LIST_NAME, SENDER, SMALLEST, Mailing, Person, barriers, focused, visit

pytestmark = pytest.mark.asyncio(loop_scope="module")

EN = TEXTS["en"]


async def ask(page: Page, person: Person, language: str = "en") -> None:
    """For the link, in the preference centre."""
    await page.goto(f"{person.link}/preferences")
    async with page.expect_navigation():
        await page.get_by_role("button", name=TEXTS[language]["button_details_send"], exact=True).click()
    assert await page.get_by_role("status").count() == 1


async def save(page: Page, language: str = "en") -> None:
    async with page.expect_navigation():
        await page.get_by_role("button", name=TEXTS[language]["button_details"], exact=True).click()


@promise("G4", "M5")
@pytest.mark.parametrize(("language", "scheme"), [*((language, "light") for language in LANGUAGES), ("en", "dark")])
async def test_nobody_is_kept_out_in_any_language_on_the_smallest_screen_or_in_the_dark(
    browser: Browser, mailing: Mailing, language: str, scheme: Literal["light", "dark"]
) -> None:
    person, texts = await mailing.subscriber(), TEXTS[language]
    new = f"new.{person.address}"
    async with visit(browser, language=language, scheme=scheme, size=SMALLEST, scripts=True) as page:
        await ask(page, person, language)
        assert await barriers(page) == []
        link = await mailing.details_link(person.address)
        await page.goto(link)
        assert await page.locator("html").get_attribute("lang") == language
        assert await page.title() == texts["title_details"]
        assert await barriers(page) == []
        await page.get_by_label(texts["label_address_in"]).fill(new)
        await save(page, language)
        assert await page.title() == texts["title_details_done"]
        assert await barriers(page) == []
        await page.goto(link)
        assert await page.title() == texts["title_used"]
        assert await barriers(page) == []
        await page.goto(await mailing.details_link(new))
        assert await page.title() == texts["title_address"]
        assert await barriers(page) == []
        await page.get_by_role("button").click()
        assert await page.title() == texts["title_address_done"]
        assert await barriers(page) == []


@promise("G4")
async def test_what_a_person_corrects_is_so_at_once_and_their_no_stays_with_the_address_it_was_said_at(
    browser: Browser, mailing: Mailing
) -> None:
    person = await mailing.subscriber()
    new = f"new.{person.address}"
    async with visit(browser) as page:
        await ask(page, person)
        assert "Jane" not in await page.content(), "the unsubscribe link may have been forwarded"
        await page.goto(await mailing.details_link(person.address))
        assert await page.get_by_label(EN["label_address_in"]).input_value() == person.address
        assert await page.get_by_label("first name").input_value() == "Jane"
        assert "score" not in await page.content()
        await page.get_by_label("first name").fill("Janet")
        await page.get_by_label(EN["label_address_in"]).fill(new)
        await save(page)
        known = await mailing.profile(person)
        assert (known.address, dict(known.fields)) == (person.address, {"first_name": "Janet", "score": "7"})

        await page.goto(await mailing.details_link(new))
        assert (await mailing.profile(person)).address == person.address, "looking changes nothing"
        await page.get_by_role("button", name=EN["button_address"]).click()
        assert (await mailing.profile(person)).address == new
        await page.get_by_role("link", name="Choose what").click()
        assert await page.get_by_text(EN["state_off"], exact=True).count() == 1
        await page.get_by_role("button", name=f"Start “{LIST_NAME}” again").click()
        assert await page.get_by_role("status").inner_text() == EN["changed_start"]
    assert len(await mailing.events(person)) == 1, "at the new address, the yes that was just given alone"


@promise("G4")
async def test_it_is_done_by_keyboard_alone_in_the_order_of_reading(browser: Browser, mailing: Mailing) -> None:
    person = await mailing.subscriber()
    async with visit(browser) as page:
        await ask(page, person)
        await page.goto(await mailing.details_link(person.address))
        for name in ("address", "value.0", "value.1"):
            await page.keyboard.press("Tab")
            assert await page.evaluate("document.activeElement.name") == name
            assert (await focused(page))[1] >= 2, "one sees where one is"
            if name == "value.0":
                await page.keyboard.type("Janet")
        await page.keyboard.press("Tab")
        assert (await focused(page))[0] == EN["button_details"]
        async with page.expect_navigation():
            await page.keyboard.press("Enter")
        assert await page.get_by_role("status").inner_text() == EN["said_details_done"]
    assert (await mailing.profile(person)).fields["first_name"] == "Janet"


async def test_a_forged_link_shows_nobody(browser: Browser, mailing: Mailing) -> None:
    async with visit(browser) as page:
        answer = await page.goto(f"{mailing.mesh.http_url()}/p/AVV_n_SPlLF7Axmy0x02VhAvH")
        assert answer is not None
        assert answer.status == 404
        assert SENDER not in await page.content()
