"""`/u/{token}/preferences`: each list, topic and brand, pause and tracking, one button a change, each at once; and a link to the person's
details, mailed to their own address.

A yes is taken only to the very words that the page showed: the form carries their hash, and where they would be others now, such as
after a change of the list's name, the page is shown again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from postlaw_common.errors import Unavailable
from postlaw_gateway.clients import method
from postlaw_gateway.profile_wire import keep_language_request, language_kept, profile_link_asked_request
from postlaw_gateway.public_pages import preferences_page as page
from postlaw_gateway.public_pages.forms import UnreadableForm
from postlaw_gateway.public_pages.languages import LANGUAGES, Language
from postlaw_gateway.public_pages.links import Links, checked
from postlaw_gateway.public_pages.pages import Mail
from postlaw_gateway.public_pages.visitors import Visitor, spend
from postlaw_gateway.rate_limits import RateLimits
from postlaw_gateway.wire import Change, Preferences, change_request, changed, describe_preferences_request, preferences

_DESCRIBE = method("consent.DescribePreferences")
_CHANGE = method("consent.ChangePreferences")
_ASK_LINK = method("consent.RequestProfileLink")
_KEEP_LANGUAGE = method("consent.KeepLanguage")
_CHOICE = re.compile(r"(?:list|topic):.{1,64}|brand:.{1,100}")
_DAYS = {str(days): days for days in page.PAUSES}


@dataclass(frozen=True, slots=True)
class _Press:
    """What a button asks for. `notice`: the hash of the words beside it, where it is a yes."""

    act: str
    scope: str = ""
    pause_days: int = 0
    notice: str = ""


class PreferenceCentre:
    path = "/u/{token}/preferences"
    shows_page = True
    open_to_all = False

    def __init__(self, links: Links, limits: RateLimits) -> None:
        self._links = links
        self._limits = limits

    def is_page(self, accept: bytes, fields: Mapping[str, str] | None) -> bool:
        return True

    async def show(self, token: str, language: Language) -> bytes:
        stands, mail = await self._look(checked(token), language)
        return page.show(language.tag, stands, mail)

    async def press(self, token: str, fields: Mapping[str, str], language: Language, visitor: Visitor) -> tuple[int, bytes]:
        if fields.get("details") == "send":
            spend(self._limits, visitor)
            await self._links.ask(_ASK_LINK, profile_link_asked_request(checked(token), language.tag))
            stands, mail = await self._look(token, language)
            return 200, page.show(language.tag, stands, mail, said="details_asked")
        if (wanted := fields.get("language")) in LANGUAGES:
            return 200, await self._keep(checked(token), wanted, language)
        pressed = _read(fields)
        change = Change(pressed.act, pressed.scope, pressed.pause_days, language=language.tag)
        if pressed.act in page.OPENERS:
            stands, mail = await self._look(checked(token), language)
            if pressed.act == "start" and pressed.scope not in {choice.scope for choice in stands.choices}:
                raise UnreadableForm("That is none of this person's lists, topics and brands.")
            if not mail.sender.name:
                raise Unavailable("Who asks cannot be named just now, so that no yes can be given.")
            wording = page.wording(language.tag, pressed.act, pressed.scope, stands, mail)
            if hashlib.sha256(wording.encode()).hexdigest() != pressed.notice:
                return 409, page.show(language.tag, stands, mail, said="look_again")
            change = Change(pressed.act, pressed.scope, wording=wording, language=language.tag, contact_shown=mail.sender.can_be_reached)
        done = changed(await self._links.ask(_CHANGE, change_request(checked(token), change)))
        mail = await self._links.mail(done.preferences.tenant_id, done.preferences.address_key, language)
        said = "said_recorded" if done.recorded and pressed.act in ("stop", "pause") else f"changed_{pressed.act}"
        return 200, page.show(language.tag, done.preferences, mail, said=said, already=done.already)

    async def _keep(self, token: str, wanted: str, language: Language) -> bytes:
        kept = language_kept(await self._links.ask(_KEEP_LANGUAGE, keep_language_request(token, wanted)))
        stands, mail = await self._look(token, language)
        said = "changed_language" if kept.kept else "language_not_kept"
        return page.show(language.tag, stands, mail, said=said, already=kept.already)

    async def _look(self, token: str, language: Language) -> tuple[Preferences, Mail]:
        stands = preferences(await self._links.ask(_DESCRIBE, describe_preferences_request(token)))
        return stands, await self._links.mail(stands.tenant_id, stands.address_key, language)


def _read(fields: Mapping[str, str]) -> _Press:
    """Raises UnreadableForm."""
    notice = fields.get("notice", "")
    match fields:
        case {"stop": scope} if scope == "everything" or _CHOICE.fullmatch(scope):
            return _Press("stop", scope)
        case {"start": scope} if _CHOICE.fullmatch(scope):
            return _Press("start", scope, notice=notice)
        case {"pause": days} if days in _DAYS:
            return _Press("pause", pause_days=_DAYS[days])
        case {"resume": "yes"}:
            return _Press("resume", notice=notice)
        case {"tracking": "off"}:
            return _Press("tracking_off")
        case {"tracking": "on"}:
            return _Press("tracking_on", notice=notice)
        case _:
            raise UnreadableForm("That is none of this page's buttons.")
