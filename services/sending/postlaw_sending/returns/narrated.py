"""Bounces told in prose, as qmail, Exim, Exchange, Domino, older sendmails and many providers write them.

There is no format: what is common to them is who sends them, that they speak of a message that did not arrive, and that the addresses
stand before the copy of that message.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from email.message import Message
from itertools import product
from typing import Final

from postlaw_sending.returns import reading
from postlaw_sending.returns.causes import class_of, status_in
from postlaw_sending.returns.phrases import phrases
from postlaw_sending.returns.returned import ReturnedRecipient

_MACHINES: Final = phrases("narrated", "machines")
_DAEMON: Final = phrases("narrated", "daemons")
_SURELY: Final = phrases("narrated", "surely")
_SUBJECTS: Final = phrases("narrated", "subjects")
_PLAINLY: Final = phrases("narrated", "plainly")
_TOLD: Final = phrases("narrated", "told")
_DELAY: Final = phrases("narrated", "delayed")
_COPY: Final = phrases("narrated", "copy")
_HERE: Final = phrases("narrated", "here")
_OURS: Final = re.compile(r"(?:postmaster|mailer-daemon|abuse|support|helpdesk|help|webmaster|admin|hostmaster)@", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.)+[A-Za-z][A-Za-z0-9-]{1,62}")
# The ways in which addresses are written, the surest first.
_WRITTEN: Final = tuple(
    re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    for pattern in (
        r"^[ \t>*|-]*<([^<>\s]+@[^<>\s]+)>[ \t]*(?::|$|\.\.\.)",  # qmail, Postfix, Exim
        r"^[ \t>|-]*(?:to|for|recipients?|error-for|(?:failed|intended) recipient|adresse|user|address|rcpt to|destination|an|destinataire"
        r"|name)[ \t]*:[ \t]*[<\[\"']?(?:smtp:)?([^\s<>\[\]\"':]+@[^\s<>\[\]\"',;]+)",
        r"RCPT TO: ?<([^<>\s]+@[^<>\s]+)>",
        r"\d{3}[- ](?:\d\.\d\.\d )?<([^<>\s]+@[^<>\s]+)>",
        r"^[ \t>*|-]*[<\[\"']?([^\s<>\[\"':;]+@[^\s<>\]\"':;,]+)[>\]\"']?[ \t]*(?=$|:|;| on |\.\.\.|\()",
        r"(?:to|for|recipient\(?s?\)?|user|address(?:ed to)?|userid:?|mailbox|account)[ \t:]+[<\"']?([^\s<>\"'()]+@[^\s<>\"',;()]+)",
        _ADDRESS.pattern,
    )
)
_ABOUT: Final = 400  # characters about an address that speak of it


def recipients(message: Message, parts: Sequence[Message]) -> list[ReturnedRecipient] | None:
    """Who did not get it, and why; empty where it does not say who. None where this is no bounce."""
    failed = [address for value in reading.headers(message, "X-Failed-Recipients") for address in _ADDRESS.findall(value)]
    told = _told(parts)
    if not failed and not _is_bounce(message, told):
        return None
    delayed = bool(_DELAY.search(told)) or "delay" in reading.header(message, "Subject").lower()
    addresses = failed or _named(message, told)
    action = "delayed" if delayed else "failed"
    found: list[ReturnedRecipient] = []
    for address in addresses:
        about = _about(address, addresses, told)
        cls = "soft" if delayed else class_of(None, f"{about} {reading.header(message, 'Subject')}" if len(addresses) == 1 else about)
        found.append(ReturnedRecipient(address, action, status_in(about), cls))
    return found


def _told(parts: Sequence[Message]) -> str:
    """What is told before the copy of the message begins."""
    texts = [
        reading.body(part) for part in parts if part.get_content_maintype() == "text" and part.get_content_subtype() in ("plain", "html")
    ]
    text = next((text for text in texts if text.strip()), "")
    cut = next((found.start() for found in _COPY.finditer(text) if _ADDRESS.search(text, 0, found.start())), len(text))
    return text[:cut]


def _is_bounce(message: Message, told: str) -> bool:
    """It must come from a machine, or from nobody; and say that something did not arrive. One that answers, or is from a list, is mail
    about a bounce."""
    sender = f"{reading.header(message, 'From')} {reading.header(message, 'Sender')}"
    nobody = reading.header(message, "Return-Path") in ("<>", "<MAILER-DAEMON>") or not reading.address_in(sender)
    machine = nobody or bool(_MACHINES.search(sender)) or reading.header(message, "Auto-Submitted").lower().startswith("auto-generated")
    subject = reading.header(message, "Subject")
    if not machine and (not _PLAINLY.match(subject) or reading.header(message, "In-Reply-To") or reading.header(message, "References")):
        return False
    if any(reading.header(message, name) for name in ("List-Id", "List-Post", "List-Unsubscribe")) and not _DAEMON.search(sender):
        return False
    signs = (_SUBJECTS.search(subject), _TOLD.search(told), nobody and "@" in told, _SURELY.search(sender))
    return sum(map(bool, signs)) >= 2


def _named(message: Message, told: str) -> list[str]:
    """The addresses of which the text speaks, without those to whom and from whom the bounce goes."""
    own = {
        reading.address_in(reading.header(message, name)) for name in ("To", "From", "Return-Path", "Sender", "Reply-To", "Delivered-To")
    }
    here = _HERE.search(told)
    places = [told[here.end() :], told] if here else [told]
    for text, written in product(places, _WRITTEN):
        addresses = list(dict.fromkeys(filter(None, (_clean(one, own) for one in written.findall(text)))))
        if addresses:
            return addresses
    return []


def _clean(written: str, own: Collection[str]) -> str:
    """The address; empty where it is none, or one of those who write."""
    address = written.rpartition("SMTP=")[2].strip(".,;:'\"()<>")
    return address if _ADDRESS.fullmatch(address) and address.lower() not in own and not _OURS.match(address) else ""


def _about(address: str, addresses: Sequence[str], told: str) -> str:
    """What is said of this address: up to where another one is spoken of."""
    if len(addresses) == 1:
        return told
    start = told.find(address)
    if start < 0:
        return told
    following = [at for other in addresses if other != address and (at := told.find(other, start + len(address))) > 0]
    return told[start : min([start + _ABOUT, *following])]
