"""`/p/{token}`: the page behind a link that was mailed to a person's own address: what is kept of them, or the yes to a new address.

Opening it changes nothing; its button does, once.
"""

from __future__ import annotations

from collections.abc import Mapping

from postlaw_gateway.clients import method
from postlaw_gateway.profile_wire import ProfileLink, describe_profile_link_request, profile_link, use_profile_link_request
from postlaw_gateway.public_pages import profile_page as page
from postlaw_gateway.public_pages.forms import UnreadableForm, is_address
from postlaw_gateway.public_pages.languages import Language
from postlaw_gateway.public_pages.links import Links, checked
from postlaw_gateway.public_pages.visitors import Visitor

_DESCRIBE = method("consent.DescribeProfileLink")
_USE = method("consent.UseProfileLink")
_STATUS = {"stale": 409, "address_taken": 409, "address": 422, "details": 422}
_MOST_DETAILS = 20


class ProfilePage:
    path = "/p/{token}"
    shows_page = True
    open_to_all = False

    def __init__(self, links: Links) -> None:
        self._links = links

    def is_page(self, accept: bytes, fields: Mapping[str, str] | None) -> bool:
        return True

    async def show(self, token: str, language: Language) -> bytes:
        return await self._page(language, await self._describe(token))

    async def press(self, token: str, fields: Mapping[str, str], language: Language, visitor: Visitor) -> tuple[int, bytes]:
        details: Mapping[str, str] = {}
        address, version = "", 0
        if fields.get("save") == "yes":
            details, address, version = _details(fields), fields.get("address", "").strip(), _version(fields)
            if not is_address(address):
                return 422, await self._page(language, await self._describe(token), problem="address", typed=fields)
        elif fields.get("confirm") != "yes":
            raise UnreadableForm("That is none of this page's buttons.")
        used = profile_link(await self._links.ask(_USE, use_profile_link_request(checked(token), details, address, version, language.tag)))
        typed = {} if used.problem == "stale" else fields
        return _STATUS.get(used.problem, 200), await self._page(language, used, problem=used.problem, typed=typed)

    async def _describe(self, token: str) -> ProfileLink:
        return profile_link(await self._links.ask(_DESCRIBE, describe_profile_link_request(checked(token))))

    async def _page(self, language: Language, link: ProfileLink, *, problem: str = "", typed: Mapping[str, str] | None = None) -> bytes:
        mail = await self._links.mail(link.tenant_id, link.address_key, language)
        told = typed or {}
        return page.show(language.tag, link, mail, problem=problem, details=_details(told), address=told.get("address", ""))


def _details(fields: Mapping[str, str]) -> Mapping[str, str]:
    """By name: the form has `name.0` and `value.0`, since a browser's field names are no place for others' words."""
    numbers = [number for number in range(_MOST_DETAILS) if f"name.{number}" in fields]
    return {fields[f"name.{number}"]: fields.get(f"value.{number}", "") for number in numbers}


def _version(fields: Mapping[str, str]) -> int:
    version = fields.get("version", "")
    if not version.isascii() or not version.isdigit() or len(version) > 18:
        raise UnreadableForm("That is not what the page sends.")
    return int(version)
