"""`/u/{token}`: the page behind an unsubscribe link, and the stop itself (RFC 8058).

The stop needs consent alone, not identity, not subscribers: what the page says beside it is left out where it is not to be had.
"""

from __future__ import annotations

from collections.abc import Mapping

from postlaw_common.errors import PostlawError
from postlaw_gateway.clients import method
from postlaw_gateway.json_out import encode, to_json
from postlaw_gateway.public_pages import pages
from postlaw_gateway.public_pages.forms import UnreadableForm, is_one_click
from postlaw_gateway.public_pages.languages import Language
from postlaw_gateway.public_pages.links import Links, checked
from postlaw_gateway.public_pages.visitors import Visitor
from postlaw_gateway.wire import Link, Receipt, describe_request, link, receipt, withdraw_request

_DESCRIBE = method("consent.DescribeToken")
_WITHDRAW = method("consent.WithdrawByToken")
# What the page's buttons send as `stop`, and whether that is everything. RFC 8058 has its own name and value, which the page does not use.
_BUTTONS = {"this": False, "everything": True}


class OptOut:
    path = "/u/{token}"
    shows_page = True
    open_to_all = False

    def __init__(self, links: Links) -> None:
        self._links = links

    def is_page(self, accept: bytes, fields: Mapping[str, str] | None) -> bool:
        """Mailbox providers get JSON unless they ask for a page; a browser's form gets a page unless it asks for JSON alone."""
        if b"text/html" in accept:
            return True
        return fields is not None and _everything(fields) is not None and b"application/json" not in accept

    async def show(self, token: str, language: Language) -> bytes:
        described = await self._describe(checked(token))
        mail = await self._links.mail(described.tenant_id, described.address_key, language)
        return pages.ask(language.tag, token, described, mail)

    async def press(self, token: str, fields: Mapping[str, str], language: Language, visitor: Visitor) -> tuple[int, bytes]:
        one_click, everything = is_one_click(fields), _everything(fields)
        if not one_click and everything is None:
            raise UnreadableForm("The body must be List-Unsubscribe=One-Click (RFC 8058 §3.2).")
        withdrawal = await self._links.ask(_WITHDRAW, withdraw_request(checked(token), one_click=one_click, everything=bool(everything)))
        return 200, await self._done(token, receipt(withdrawal), language) if language.tag else encode(to_json(withdrawal))

    async def _done(self, token: str, receipt: Receipt, language: Language) -> bytes:
        try:
            described = await self._describe(token)
        except PostlawError:  # the mail has stopped all the same: the page then does without names
            return pages.done(language.tag, token, receipt, None, pages.Mail())
        mail = await self._links.mail(described.tenant_id, described.address_key, language)
        return pages.done(language.tag, token, receipt, described, mail)

    async def _describe(self, token: str) -> Link:
        return link(await self._links.ask(_DESCRIBE, describe_request(token)))


def _everything(fields: Mapping[str, str]) -> bool | None:
    """Which of the page's buttons was pressed; None where none was: a one-click is of what the link stands for."""
    return None if is_one_click(fields) else _BUTTONS.get(fields.get("stop", ""))
