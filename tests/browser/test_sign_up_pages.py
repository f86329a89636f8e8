"""The form and its confirmation, as people meet them: in every language, on the smallest screen, without scripts."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page

from postlaw.consent.v1 import consent_pb2
from postlaw.consent.v1.consent_pb2_grpc import ConsentServiceStub
from postlaw_common.testing.promises import promise
from postlaw_gateway.public_pages.languages import LANGUAGES
from postlaw_gateway.public_pages.texts import TEXTS
from tests.browser.visits import SCOPES, SENDER, SMALLEST, Mailing, barriers, visit

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def form_url(mailing: Mailing) -> str:
    stub: ConsentServiceStub = ConsentServiceStub(
        mailing.mesh.channel("consent", caller=mailing.mesh.caller(mailing.tenant_id, (*SCOPES, "lists:read")))
    )
    asked = consent_pb2.CreateFormRequest(
        list_id=mailing.list_id,
        language="de",
        wording="Ja, schicken Sie mir die Neuigkeiten.",
        purposes=["Neuigkeiten"],
        sender=consent_pb2.FormSender(name=SENDER, address="servus@maier.example", postal_address="Hauptstraße 1, 8010 Graz"),
    )
    made: consent_pb2.Form = await stub.CreateForm(asked)
    return f"{mailing.mesh.http_url()}/f/{made.form_id}"


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
