"""The form and its confirmation, as people meet them: in every language, on the smallest screen, without scripts."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from libs.mesh.tests.signing_up import acme, link_in
from postlaw_common.testing.promises import promise
from postlaw_gateway.public_pages.languages import LANGUAGES
from postlaw_gateway.public_pages.texts import TEXTS
from tests.browser.visits import LIST_NAME, SENDER, SMALLEST, Mailing, barriers, focused, visit

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def form_url(mailing: Mailing) -> str:
    return f"{mailing.mesh.http_url()}/f/{(await mailing.form()).form_id}"


async def fill_in(page: Page, language: str) -> None:
    await page.get_by_label(TEXTS[language]["label_address_in"]).fill("jane@example.com")
    await page.get_by_role("checkbox").check()


@promise("G12", "G9")
@pytest.mark.parametrize("language", LANGUAGES)
async def test_nobody_is_kept_out_of_a_form_in_any_language_on_the_smallest_screen(
    browser: Browser, mailing: Mailing, language: str
) -> None:
    async with visit(browser, language=language, size=SMALLEST, scripts=True) as page:
        await page.goto(await form_url(mailing))
        assert await barriers(page) == []
        assert not await page.get_by_role("checkbox").is_checked()
        await page.wait_for_timeout(2100)  # the form takes nothing that nobody can have read
        await fill_in(page, language)
        await page.get_by_role("button").click()
        assert TEXTS[language]["said_taken"] in await page.locator("body").inner_text()
        assert await barriers(page) == []


@promise("G12")
async def test_a_form_that_is_sent_too_fast_is_shown_again_with_what_was_typed(browser: Browser, mailing: Mailing) -> None:
    async with visit(browser) as page:
        await page.goto(await form_url(mailing))
        await fill_in(page, "en")
        await page.get_by_role("button").click()
        assert await page.get_by_role("alert").inner_text() == TEXTS["en"]["need_token"]
        assert await page.get_by_label(TEXTS["en"]["label_address_in"]).input_value() == "jane@example.com"


@promise("G12")
@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_retired_form_keeps_nobody_out_of_reading_so(browser: Browser, mailing: Mailing, language: str) -> None:
    form = await mailing.form()
    await mailing.retire(form)
    async with visit(browser, language=language, size=SMALLEST, scripts=True) as page:
        answer = await page.goto(f"{mailing.mesh.http_url()}/f/{form.form_id}")
        assert answer is not None
        assert answer.status == 410
        assert TEXTS[language]["retired"] in await page.locator("body").inner_text()
        assert await barriers(page) == []


@promise("G12", "G9")
@pytest.mark.parametrize("language", LANGUAGES)
async def test_nobody_is_kept_out_of_a_confirmation_wherever_it_stands(browser: Browser, mailing: Mailing, language: str) -> None:
    form, texts = await mailing.form(), TEXTS[language]
    confirm, _ = await mailing.signed_up(form)
    void, stop = await mailing.signed_up(form)
    async with visit(browser, language=language, size=SMALLEST, scripts=True) as page:
        await page.goto(confirm)
        assert await page.locator("html").get_attribute("lang") == language
        assert await page.title() == texts["title_confirm"]
        assert await barriers(page) == []
        await page.get_by_role("button").click()
        assert await page.title() == texts["title_confirmed"]
        assert await barriers(page) == []

        await page.goto(stop)
        await page.get_by_role("button").first.click()
        await page.goto(void)
        assert await page.title() == texts["title_void"]
        assert await barriers(page) == []


@promise("G12", "G9")
async def test_a_link_that_has_run_out_keeps_nobody_out_of_reading_so(browser: Browser, tmp_path: Path) -> None:
    async with acme(tmp_path) as customer:
        await customer.sign_up("jane@example.com")
        path = link_in(await customer.mail_to("jane@example.com"), "/c/")
        customer.clock.forward(8 * 24 * 3600)
        for language in LANGUAGES:
            async with visit(browser, language=language, size=SMALLEST, scripts=True) as page:
                await page.goto(f"{customer.mesh.http_url()}{path}")
                assert await page.title() == TEXTS[language]["title_expired"]
                assert await barriers(page) == []


@promise("G12", "M4")
async def test_a_confirmation_is_one_press_by_keyboard_and_says_who_asks_for_what(browser: Browser, mailing: Mailing) -> None:
    confirm, _ = await mailing.signed_up(await mailing.form())
    async with visit(browser) as page:
        await page.goto(confirm)
        said = await page.locator("body").inner_text()
        for words in ("j•••@e•••.com", SENDER, LIST_NAME, "Neuigkeiten", "Hauptstraße 1, 8010 Graz"):
            assert words in said
        stops = [TEXTS["en"]["button_confirm"], *(TEXTS[language]["language"] for language in LANGUAGES)]
        for words in stops:
            await page.keyboard.press("Tab")
            text, line = await focused(page)
            assert text == words
            assert line >= 2, "one sees where one is"
        for _ in stops[1:]:
            await page.keyboard.press("Shift+Tab")
        async with page.expect_navigation():
            await page.keyboard.press("Enter")
        assert await page.title() == TEXTS["en"]["title_confirmed"]
        await page.reload()
        assert TEXTS["en"]["said_confirmed_before"] in await page.locator("body").inner_text()


@promise("G12")
async def test_a_form_is_filled_in_by_keyboard_alone_and_nobody_meets_the_trap(browser: Browser, mailing: Mailing) -> None:
    async with visit(browser) as page:
        await page.goto(await form_url(mailing))
        for name, keys in (("address", "jane@example.com"), ("agreed", " ")):
            await page.keyboard.press("Tab")
            assert await page.evaluate("document.activeElement.name") == name
            assert (await focused(page))[1] >= 2, "one sees where one is"
            await page.keyboard.type(keys)
        await page.keyboard.press("Tab")
        assert (await focused(page))[0] == TEXTS["en"]["button_sign_up"]
        await page.wait_for_timeout(2100)  # the form takes nothing that nobody can have read
        async with page.expect_navigation():
            await page.keyboard.press("Enter")
        assert await page.get_by_role("status").inner_text() == TEXTS["en"]["said_taken"]
