"""A person's own link: its token is the authority, and says whom and what it is about. Every wrong token gets the same answer."""

from __future__ import annotations

import asyncio
import re

from google.protobuf.message import Message

from postlaw_common.caller import acting_as
from postlaw_common.errors import Denied, Invalid, NotFound, PostlawError, Unauthenticated
from postlaw_gateway.clients import Calls, Method, method
from postlaw_gateway.public_pages.languages import Language
from postlaw_gateway.public_pages.pages import Mail
from postlaw_gateway.public_pages.senders import Senders
from postlaw_gateway.wire import masked_address, masked_address_request

_GET_MASKED_ADDRESS = method("subscribers.GetMaskedAddress")
_WAIT_S = 0.3
_TOKEN = re.compile(r"[A-Za-z0-9_.~-]{1,600}")


class BadToken(PostlawError):
    """The one answer to a token that is truncated, altered, made up or unreadable: nobody learns which."""

    type, title, status = "not-found", "There is no such thing", 404

    def __init__(self) -> None:
        super().__init__("This link does not work. It may have been cut off.")


def checked(token: str) -> str:
    """Raises BadToken for what cannot be a token, so that nobody is asked about it."""
    if _TOKEN.fullmatch(token) is None:
        raise BadToken
    return token


class Links:
    def __init__(self, calls: Calls, senders: Senders) -> None:
        self._calls = calls
        self._senders = senders

    async def ask(self, method: Method, request: Message) -> Message:
        """Consent's answer to a request with a token in it. Raises BadToken where it takes the request for wrong."""
        try:
            with acting_as(None):
                return await self._calls.unary(method, request)
        except (Invalid, NotFound, Denied, Unauthenticated):
            raise BadToken from None

    async def mail(self, tenant_id: str, address_key: bytes, language: Language) -> Mail:
        """Whose mail it is and to whom it goes, as far as that is to be had quickly. From then on the page is in the person's language."""
        sender, (address, kept) = await asyncio.gather(self._senders.get(tenant_id), self._person(tenant_id, address_key))
        language.is_kept(kept)
        return Mail(sender, address, kept)

    async def _person(self, tenant_id: str, address_key: bytes) -> tuple[str, str]:
        """(j•••@e•••.com, the language they chose); empty where the person is not known, erased, or not to be had quickly."""
        try:
            with acting_as(None):
                asked = masked_address_request(tenant_id, address_key)
                return masked_address(await self._calls.unary(_GET_MASKED_ADDRESS, asked, timeout=_WAIT_S))
        except PostlawError:
            return "", ""
