"""`/t/{token}`: the page behind the link that is mailed to a team address. Opening it changes nothing; its button confirms."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message

from postlaw_gateway.clients import method
from postlaw_gateway.public_pages.forms import UnreadableForm
from postlaw_gateway.public_pages.languages import Language
from postlaw_gateway.public_pages.links import Links, checked
from postlaw_gateway.public_pages.pages import page
from postlaw_gateway.public_pages.visitors import Visitor
from postlaw_gateway.wire import team_link, team_token_request

_DESCRIBE = method("sending.DescribeTeamAddress")
_CONFIRM = method("sending.ConfirmTeamAddress")


class TeamAddressPage:
    path = "/t/{token}"
    shows_page = True
    open_to_all = False

    def __init__(self, links: Links) -> None:
        self._links = links

    def is_page(self, accept: bytes, fields: Mapping[str, str] | None) -> bool:
        return True

    async def show(self, token: str, language: Language) -> bytes:
        return await self._page(await self._links.ask(_DESCRIBE, team_token_request(checked(token)[:100])), language)

    async def press(self, token: str, fields: Mapping[str, str], language: Language, visitor: Visitor) -> tuple[int, bytes]:
        if fields.get("confirm") != "yes":
            raise UnreadableForm("That is none of this page's buttons.")
        return 200, await self._page(await self._links.ask(_CONFIRM, team_token_request(checked(token)[:100])), language)

    async def _page(self, answer: Message, language: Language) -> bytes:
        link = team_link(answer)
        mail = await self._links.mail(link.tenant_id, link.address_key, language)
        title = "title_team_confirmed" if link.confirmed else "title_expired" if link.expired else "title_team"
        return page("team.html", language.tag, title, mail, confirmed=link.confirmed, expired=link.expired)
