"""What one rendered message shows: who sends it, how to reach and to stop them, where its links go, how large it is."""

from __future__ import annotations

import email
import email.policy
import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urlsplit

from postlaw_sending.campaigns.domain.campaign import Campaign
from postlaw_sending.campaigns.domain.ruling import COMMERCIAL
from postlaw_sending.checklist.items import Item
from postlaw_sending.checklist.subjects import deceptions
from postlaw_sending.messages.footer import LABEL
from postlaw_sending.messages.headers import one_line

CLIPPED_FROM: Final = 102 * 1024  # octets of HTML: Gmail cuts what follows, and the footer stands last
_NAMED_MOST: Final = 3  # of what is wrong, in an item's text
_NOBODY_READS: Final = re.compile(r"(?:no|do[-_.]?not)[-_.]?reply", re.IGNORECASE)
_PLACEHOLDER: Final = re.compile(r"\W*(?:n/?a|none|test|todo|tbd|x+|(?:postal |your )?address)\W*", re.IGNORECASE)
_TEXT_LINK: Final = re.compile(r"https?:[^\s<>\"']*", re.IGNORECASE)
_OF_READERS: Final = frozenset({"mailto", "tel", "sms"})


@dataclass(frozen=True, slots=True)
class Shown:
    """A message as its reader's program has it. `page` is "" where it has no HTML."""

    headers: EmailMessage
    text: str
    page: str

    @property
    def bodies(self) -> list[str]:
        return [self.text, html.unescape(self.page)] if self.page else [self.text]


def shown(message: bytes) -> Shown:
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    bodies = [parsed.get_body((kind,)) for kind in ("plain", "html")]
    text, page = (str(body.get_content()) if body is not None else "" for body in bodies)
    return Shown(parsed, text, page)


def sender(campaign: Campaign) -> Item:
    """15 U.S.C. 7704(a)(1): who sends is said truly. Whether the domain is theirs, another item says."""
    if "@" in campaign.sender.name and campaign.sender.address.lower() not in campaign.sender.name.lower():
        return Item("sender", "fail", "The sender's name shows another address than the one that sends.", "Give a name.")
    if not campaign.contact:
        return Item("sender", "warn", "You have named no contact, which CASL s. 6(2)(b) asks for.", "Name one in your sender identity.")
    return Item("sender", "pass", "Name, address and contact stand in the message.")


def answers(campaign: Campaign) -> Item:
    """Of a campaign whose answers do not come through us."""
    to = campaign.sender.reply_to or campaign.sender.address
    if _NOBODY_READS.search(to.partition("@")[0]):
        said = "Name a reply_to at which answers, and stops, are read, or have them passed on to a team address."
        return Item("answers", "warn", "Where answers go, nobody reads them.", said)
    return Item("answers", "pass", "Answers go to an address of yours.")


def postal_address(campaign: Campaign, message: Shown) -> Item:
    """15 U.S.C. 7704(a)(5)(A)(iii): a valid physical postal address, in what is sent."""
    lines = [line for line in map(one_line, campaign.sender.postal_address.splitlines()) if line]
    if not lines or any(_PLACEHOLDER.fullmatch(line) for line in lines):
        return Item("postal_address", "fail", "The postal address is none.", "Give where post reaches you.")
    if any(line not in body for body in message.bodies for line in lines):
        return Item("postal_address", "fail", "The postal address does not stand in the message.", "Tell us: it should.")
    if not any(character.isdigit() for line in lines for character in line):
        return Item("postal_address", "warn", "The postal address has no number.", "See that post reaches you there.")
    return Item("postal_address", "pass", "The postal address stands in every part.")


def subject(campaign: Campaign, rendered: str) -> Item:
    """Promise M2. Of marketing alone: an order's own mail says so in its subject."""
    if campaign.message.message_class != COMMERCIAL:
        return Item("subject", "pass", "The template was approved as no advertisement.")
    found = deceptions(rendered) or deceptions(campaign.template.subject)
    for state in ("fail", "warn"):
        for kind, words in found:
            if kind.state == state:
                return Item("subject", kind.state, f"{kind.what} ({words[:60]!r})", "Say what the message is.")
    return Item("subject", "pass", "The subject is not of a kind that deceives.")


def label(labelled: Shown) -> Item:
    """Of a message to somebody whose law asks for it."""
    if all(LABEL in body for body in labelled.bodies):
        return Item("label", "pass", "It is labelled an advertisement for whom the law asks it.")
    return Item("label", "fail", "The label is missing where the law asks for one.", "Tell us: it should be there.")


def parts(message: Shown) -> Sequence[Item]:
    size = len(message.page.encode())
    return (
        Item("text", "pass", "There is a plain text.")
        if message.text.partition("\n-- ")[0].strip()
        else Item("text", "fail", "The plain text is empty.", "Write one, or leave it out: it is then made of the HTML."),
        Item("size", "pass", f"The HTML has {size:,} octets.")
        if size <= CLIPPED_FROM
        else Item(
            "size", "fail", f"The HTML has {size:,} octets: Gmail cuts off the end, with the way to stop.", f"At most {CLIPPED_FROM:,}."
        ),
    )


def links(message: Shown, *, ours: str) -> Item:
    """By their form alone: nothing is fetched. `ours`: where the links begin that we put in."""
    reader = _Links()
    reader.feed(message.page)
    reader.close()
    found = [*reader.found, *(match[0].rstrip(").,;:!?") for match in _TEXT_LINK.finditer(message.text))]
    found = [link for link in found if not link.startswith(ours)]
    broken = list(dict.fromkeys(f"{link[:60]!r} {why}" for link in found if (why := _wrong(link))))
    if broken:
        return Item("links", "fail", f"{len(broken)} broken: {'; '.join(broken[:_NAMED_MOST])}.", "Correct them.")
    if plain := sum(link.lower().startswith("http:") for link in set(found)):
        return Item("links", "warn", f"{plain} of the links are not encrypted (http:).", "Link to https: where it is there.")
    return Item("links", "pass", f"{len(set(found))} links, all well formed.")


def unsubscribe_shown(message: Shown, link: str) -> Iterator[str]:
    """Where the link is missing: in RFC 8058's headers, or in a body."""
    if f"<{link}>" not in str(message.headers["List-Unsubscribe"] or "").replace(" ", ""):
        yield "List-Unsubscribe"
    if message.headers["List-Unsubscribe-Post"] != "List-Unsubscribe=One-Click":
        yield "List-Unsubscribe-Post"
    yield from (part for part, body in zip(("the text", "the HTML"), message.bodies, strict=False) if link not in body)


def _wrong(link: str) -> str:
    """ "" where it can be followed."""
    if not link.strip():
        return "leads nowhere"
    if link.startswith("#"):
        return ""
    if any(character.isspace() for character in link.strip()):
        return "holds a space"
    try:
        parsed = urlsplit(link.strip())
        host = parsed.hostname or ""
        _ = parsed.port
    except ValueError:
        return "is no address"
    if parsed.scheme in _OF_READERS:
        return "" if parsed.path else "names nobody"
    if parsed.scheme not in ("http", "https"):
        return "is no web address"
    if not host or ".." in host or host.startswith("."):
        return "has no host"
    return ""


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value or "" for name, value in attrs if name == "href"]
