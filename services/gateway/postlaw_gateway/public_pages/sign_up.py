"""`/f/{form_id}`: a form to sign up, on our own page or on the customer's, and `/f/{form_id}/token`, which the latter asks for first.

Whoever sends it gets the same answer, whatever address they typed: known, unknown, suppressed or mailed too often. Only what the request
itself shows is told: no box ticked, no address, too many requests.
"""

from __future__ import annotations

from collections.abc import Mapping

from postlaw_common.caller import acting_as
from postlaw_common.errors import FieldError, Invalid, PostlawError
from postlaw_gateway.clients import Calls, method
from postlaw_gateway.json_out import encode
from postlaw_gateway.public_pages import sign_up_pages as pages
from postlaw_gateway.public_pages.form_tokens import FormTokens, Page
from postlaw_gateway.public_pages.forms import is_address
from postlaw_gateway.public_pages.languages import Language
from postlaw_gateway.public_pages.links import Links, checked
from postlaw_gateway.public_pages.visitors import Visitor, spend
from postlaw_gateway.rate_limits import RateLimits
from postlaw_gateway.wire import Form, form, form_request, sign_up_request

_DESCRIBE = method("consent.DescribeForm")
_SIGN_UP = method("consent.SignUp")
TRAP = "website"  # nobody sees the field: what is in it was put there by a program
# True of our own page: it shows nothing but the form, whose it is, and how to stop; and the box is not ticked beforehand.
_OURS = ("affirmative_act", "separate", "requester_named", "withdrawal_info", "contact_shown")
_THEIRS = ("affirmative_act",)
_TAKEN = encode({"taken": True})


class Retired(PostlawError):
    type, title, status = "form-retired", "This form is closed", 410

    def __init__(self) -> None:
        super().__init__("Nobody can sign up on this form any more. Whoever has signed up may still confirm it.")


class SignUpForm:
    path = "/f/{form_id}"
    shows_page = True
    open_to_all = True

    def __init__(self, links: Links, calls: Calls, tokens: FormTokens, limits: RateLimits) -> None:
        self._links = links
        self._calls = calls
        self._tokens = tokens
        self._limits = limits

    def is_page(self, accept: bytes, fields: Mapping[str, str] | None) -> bool:
        return b"text/html" in accept or b"application/json" not in accept

    async def show(self, token: str, language: Language) -> bytes:
        found = await self._describe(token)
        return pages.form(language.tag, found, await self._tokens.mint(found.form_id, "ours"))

    async def press(self, token: str, fields: Mapping[str, str], language: Language, visitor: Visitor) -> tuple[int, bytes]:
        spend(self._limits, visitor)
        found = await self._describe(token)
        on: Page = "ours" if language.tag else "theirs"
        judged = await self._tokens.judge(fields.get("token", ""), found.form_id, on)
        address = fields.get("address", "").strip()
        if wrong := _wrong(fields, address, judged):
            if not language.tag:
                raise Invalid("That is no sign-up.", fields=[FieldError(*wrong)])
            kept = fields["token"] if judged == "early" else await self._tokens.mint(found.form_id, "ours")
            return 422, pages.form(language.tag, found, kept, wrong=f"need_{wrong[0]}", address=address)
        if not fields.get(TRAP):
            held = [*_OURS, *(["purpose"] if found.purposes else [])] if language.tag else _THEIRS
            request = sign_up_request(found.form_id, address, held, language.tag, visitor.ip, visitor.user_agent, f"form on {on} page")
            with acting_as(None):
                await self._calls.unary(_SIGN_UP, request)
        return 200, pages.taken(language.tag, found) if language.tag else _TAKEN

    async def _describe(self, form_id: str) -> Form:
        return await _open(self._links, form_id)


class FormToken:
    """JSON for a customer's own page: `{"token": …}`."""

    path = "/f/{form_id}/token"
    shows_page = False
    open_to_all = True

    def __init__(self, links: Links, tokens: FormTokens) -> None:
        self._links = links
        self._tokens = tokens

    def is_page(self, accept: bytes, fields: Mapping[str, str] | None) -> bool:
        return False

    async def show(self, token: str, language: Language) -> bytes:
        found = await _open(self._links, token)
        return encode({"token": await self._tokens.mint(found.form_id, "theirs")})

    async def press(self, token: str, fields: Mapping[str, str], language: Language, visitor: Visitor) -> tuple[int, bytes]:
        return 200, await self.show(token, language)


async def _open(links: Links, form_id: str) -> Form:
    """Raises BadToken where there is none, Retired."""
    found = form(await links.ask(_DESCRIBE, form_request(checked(form_id))))
    if found.retired:
        raise Retired
    return found


def _wrong(fields: Mapping[str, str], address: str, judged: str) -> tuple[str, str] | None:
    """(what, why) of the first thing that the request lacks."""
    if judged != "good":
        return "token", "is missing, too old, or so young that nobody can have read the form: get a new one, and wait two seconds"
    if not is_address(address):
        return "address", "must be an e-mail address"
    if fields.get("agreed") != "yes":
        return "agreed", "must be yes, by the person's own act"
    return None
