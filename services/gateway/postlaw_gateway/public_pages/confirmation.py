"""`/c/{token}`: the page behind the link of a confirmation mail. Opening it changes nothing; its button confirms, once."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message

from postlaw_gateway.clients import method
from postlaw_gateway.public_pages import sign_up_pages as pages
from postlaw_gateway.public_pages.forms import UnreadableForm
from postlaw_gateway.public_pages.languages import Language
from postlaw_gateway.public_pages.links import Links, checked
from postlaw_gateway.public_pages.visitors import Visitor
from postlaw_gateway.wire import confirm_request, confirmation, describe_confirmation_request

_DESCRIBE = method("consent.DescribeConfirmation")
_CONFIRM = method("consent.ConfirmSignUp")


class ConfirmationPage:
    path = "/c/{token}"
    shows_page = True
    open_to_all = False

    def __init__(self, links: Links) -> None:
        self._links = links

    def is_page(self, accept: bytes, fields: Mapping[str, str] | None) -> bool:
        return True

    async def show(self, token: str, language: Language) -> bytes:
        return await self._page(await self._links.ask(_DESCRIBE, describe_confirmation_request(checked(token))), language)

    async def press(self, token: str, fields: Mapping[str, str], language: Language, visitor: Visitor) -> tuple[int, bytes]:
        if fields.get("confirm") != "yes":
            raise UnreadableForm("That is none of this page's buttons.")
        # The page names the sender with its postal address and its own, whatever else there is.
        return 200, await self._page(await self._links.ask(_CONFIRM, confirm_request(checked(token), contact_shown=True)), language)

    async def _page(self, answer: Message, language: Language) -> bytes:
        found = confirmation(answer)
        mail = await self._links.mail(found.form.tenant_id, found.address_key, language)
        return pages.confirmation(language.tag, found, mail.address)
