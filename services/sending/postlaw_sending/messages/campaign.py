"""One campaign, compiled: everything that is the same for all recipients is bytes before the first message is made."""

from __future__ import annotations

import hashlib
import html
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final, Protocol

from postlaw_common.errors import FieldError, Invalid
from postlaw_sending.campaigns.domain.images import Image, names_shown
from postlaw_sending.delivery.paths import BadAddress, path
from postlaw_sending.messages import footer
from postlaw_sending.messages.headers import one_line, phrase
from postlaw_sending.messages.images import related, with_content_ids, wrong_images
from postlaw_sending.messages.parts import encode
from postlaw_sending.messages.return_path import ReturnPaths
from postlaw_sending.messages.templates import RenderFailed, Templates, subject_of
from postlaw_sending.messages.whole import ANSWERS, DATE, HTML_AS, ID, SUBJECT, TEXT_AS, TO, TOKEN, Addressed, Whole, mark, pages

SIZE_LIMIT: Final = 1_000_000  # bytes of a rendered part
_TOKEN: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-"
_TOKEN_LIMIT: Final = 600
_ID: Final = re.compile(r"[a-z0-9]{1,26}")
_NOT_IN_ID: Final = re.compile(r"[^A-Za-z0-9._-]")


class Recipient(Addressed, Protocol):
    """What a message needs to know; protos' JobRecipient is one."""

    @property
    def address_key(self) -> bytes: ...
    @property
    def subscriber_id(self) -> str: ...
    @property
    def opt_out_token(self) -> bytes: ...


_Part = tuple[bytes, bytes]  # its transfer encoding, and it


class CompiledCampaign:
    """Made by `compile_campaign`. `render` and `envelope_from` are a function of the recipient (and of the second, for `Date`)."""

    def __init__(
        self,
        *,
        templates: Templates,
        sender: tuple[bytes, bytes],
        reply_to: bytes,
        footers: tuple[Sequence[bytes], Sequence[bytes]],
        ids: tuple[str, str],
        list_name: str,
        link: str,
        has_html: bool,
        images: Sequence[Image],
        return_paths: ReturnPaths,
        answers_to_us: bool,
        now: Callable[[], float],
    ) -> None:
        display_name, address = sender
        campaign_id, list_id = ids
        self._templates = templates
        text_footers, html_footers = footers
        self._text_footers = [(one + link.encode(), b"\r\n") for one in text_footers]
        self._html_footers = [(one + html.escape(link).encode(), footer.HTML_END) for one in html_footers]
        self._link = link
        self._has_html = has_html
        self._single = campaign_id.startswith("sgl_")
        self._return_path = return_paths.of_single if self._single else return_paths.of
        self._answered_at = return_paths.of_answer if answers_to_us else None
        self._now = now
        self._domain = address.rpartition(b"@")[2]
        self._campaign = _short(campaign_id)
        # Of all boundaries: no part holds it, so none holds any of them (RFC 2046 §5.1.1).
        self._boundary = hashlib.sha256(campaign_id.encode()).hexdigest()[:32].encode()
        alternative = b"=_" + self._boundary
        answers = b"Reply-To: <%b>\r\n" % reply_to if reply_to else b""
        self._head = b"From: %b <%b>\r\n%bTo: <" % (display_name, address, answers)
        list_label = _NOT_IN_ID.sub("-", list_id).encode()
        # RFC 2919 §3; RFC 8058 §3.1; Feedback-ID is read from the right: sender, kind of mail, list, campaign
        self._list = b"\r\nList-Id: %b <%b.%b>\r\nList-Unsubscribe: <%b" % (phrase(list_name), list_label, self._domain, link.encode())
        # RFC 6068 §2. On a line of its own: two tokens may be longer than a line (RFC 5322 §2.1.1).
        mailbox = return_paths.unsubscribing
        self._mailto = b">,\r\n <mailto:%b?subject=" % mailbox if mailbox else b""
        self._tail = (
            b">\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
            b"Feedback-ID: %b:%b:campaign:postlaw\r\nMIME-Version: 1.0\r\n" % (_NOT_IN_ID.sub("-", campaign_id).encode(), list_label)
        )
        if has_html:
            self._tail += b'Content-Type: multipart/alternative; boundary="%b"\r\n\r\n--%b\r\n' % (alternative, alternative)
        before, behind = related(images, self._domain, b"=r" + self._boundary)
        self._html_start = b"\r\n--%b\r\n%bContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: " % (alternative, before)
        self._end = b"%b\r\n--%b--\r\n" % (behind, alternative)
        self._date_of = 0
        self._date = b""
        self._whole = self._as_a_whole()

    @property
    def sender_domain(self) -> str:
        """Of From, in lower case."""
        return self._domain.decode("ascii").lower()

    def render(self, recipient: Recipient) -> bytes:
        """One whole RFC 5322 message with CRLF line ends. RenderFailed: for this recipient only.

        Values in the templates: the recipient's fields by name, then `address` and `unsubscribe_url`, which no field can replace.
        """
        try:
            to, _ = path(recipient.address.encode())
        except (BadAddress, UnicodeError) as error:
            raise RenderFailed("the address cannot be mailed") from error
        token = recipient.opt_out_token
        if not to or not 0 < len(token) <= _TOKEN_LIMIT or token.translate(None, _TOKEN):
            raise RenderFailed("there is no address, or no token for the unsubscribe link")
        if recipient.footer >= len(self._text_footers):
            raise RenderFailed("the footer is one of a later version")
        answers = self._answered_at(self._campaign, recipient.address_key) if self._answered_at is not None else b""
        # A single message's own id says it all; with a second one it would look like a campaign's to whoever reads it in a report.
        date, id = self._date_now(), b"" if self._single else b"." + _short(recipient.subscriber_id)
        filled = self._whole.fill(recipient, token, to, answers, date, id) if self._whole is not None else None
        return filled or self._rendered(recipient, token, to, answers, date, id)

    def _rendered(self, recipient: Recipient, token: bytes, to: bytes, answers: bytes, date: bytes, id: bytes) -> bytes:
        """By the template engine. Raises RenderFailed."""
        values = dict(recipient.fields)
        values["address"] = recipient.address
        values["unsubscribe_url"] = self._link + token.decode("ascii")
        render, form = self._templates.render, recipient.footer
        subject = subject_of(render("subject", values))
        text = self._part(render("text", values), "text", token.join(self._text_footers[form]))
        page = self._part(render("html", values), "html", token.join(self._html_footers[form])) if self._has_html else None
        return self._message(to, answers, subject, date, id, token, text, page)

    def _message(
        self, to: bytes, answers: bytes, subject: bytes, date: bytes, id: bytes, token: bytes, text: _Part, page: _Part | None
    ) -> bytes:
        encoding, body = text
        pieces = [
            self._head, to, b">\r\nReply-To: <%b>\r\nSubject: " % answers if answers else b">\r\nSubject: ", subject, b"\r\nDate: ", date,
            b"\r\nMessage-ID: <", self._campaign, id, b"@", self._domain, b">",
            self._list, token, self._mailto, token if self._mailto else b"", self._tail,
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: ", encoding, b"\r\n\r\n", body,
        ]  # fmt: skip
        if page is not None:
            encoding, body = page
            pieces += (self._html_start, encoding, b"\r\n\r\n", body, self._end)
        return b"".join(pieces)

    def _as_a_whole(self) -> Whole | None:
        """Where all templates are plain."""
        plain = self._templates.plain
        subject = plain.get("subject")
        names = sorted(set().union(*(template.names for template in plain.values() if template)) - {"unsubscribe_url"})
        text = pages(plain.get("text"), names, self._text_footers, self._link, in_body=False, limit=SIZE_LIMIT)
        html = pages(plain.get("html"), names, self._html_footers, self._link, in_body=True, limit=SIZE_LIMIT) if self._has_html else None
        if subject is None or "unsubscribe_url" in subject.names or text is None or (self._has_html and html is None):
            return None
        answers = mark(ANSWERS) if self._answered_at is not None else b""
        forms = [
            self._message(
                mark(TO), answers, mark(SUBJECT), mark(DATE), mark(ID), mark(TOKEN),
                (mark(TEXT_AS), page), (mark(HTML_AS), html.by_form[form]) if html else None,
            )
            for form, page in enumerate(text.by_form)
        ]  # fmt: skip
        return Whole(subject, text, html, names, forms, self._link, self._boundary, len(self._end) if html else 0)

    @property
    def unsubscribe_at(self) -> str:
        """Where a recipient stops the mail: their token follows."""
        return self._link

    def envelope_from(self, recipient: Recipient) -> bytes:
        """The return path of this recipient (return_path.py)."""
        return self._return_path(self._campaign, recipient.address_key, self._domain)

    def _part(self, rendered: str, field: str, end: bytes) -> _Part:
        body = rendered.encode()
        if len(body) > SIZE_LIMIT:
            raise RenderFailed(f"template.{field} renders as more than 1 MB")
        return encode(body + end if field == "text" else footer.put_in(body, end), self._boundary)

    def _date_now(self) -> bytes:
        second = int(self._now())
        if second != self._date_of:
            self._date = format_datetime(datetime.fromtimestamp(second, UTC)).encode()
            self._date_of = second
        return self._date


def compile_campaign(
    *,
    subject: str,
    html: str,
    text: str,
    sender_name: str,
    sender_address: str,
    reply_to: str = "",
    postal_address: str,
    contact: str,
    images: Sequence[Image] = (),
    campaign_id: str,
    list_id: str,
    list_name: str,
    public_url: str,
    return_paths: ReturnPaths,
    answers_to_us: bool = False,
    now: Callable[[], float] = time.time,
) -> CompiledCampaign:
    """Compile protos' Campaign. `public_url` is the gateway's: links are `<public_url>/u/<token>`. `now`: seconds since the epoch.

    Invalid, naming each wrong field and its line. `html` may be empty: the message is then plain text. So may `contact`: nothing
    then stands for it. Of `images` those go along that `html` shows. `answers_to_us`: each recipient's answers go to an address of ours
    that is theirs alone, instead of to `reply_to`.
    """
    wrong: list[FieldError] = []
    address = _ours("sender.address", sender_address, wrong)
    answers = _ours("sender.reply_to", reply_to, wrong) if reply_to else b""
    if answers_to_us and not return_paths.taking_answers:
        wrong.append(FieldError("forward_answers_to", "no mail is taken here: leave it out"))
    named = {"sender.name": sender_name, "sender.postal_address": postal_address}
    wrong += [FieldError(field, "must not be empty") for field, value in named.items() if not one_line(value)]
    wrong += wrong_images(images)
    names = names_shown(html)
    shown = {image.name: image for image in images if image.name in names}
    wrong += [FieldError("template.html", f"shows cid:{name}, of which there is no image") for name in names if name not in shown]
    templates = Templates(subject, text, with_content_ids(html, shown, address.rpartition(b"@")[2].decode()) if shown else html)
    wrong += templates.wrong
    if wrong:
        raise Invalid("the campaign cannot be made into messages", fields=wrong)
    who = footer.Sender(sender_name, postal_address, contact)
    return CompiledCampaign(
        templates=templates,
        sender=(phrase(sender_name), address),
        reply_to=answers,
        footers=(
            [footer.text_footer(who, list_name, form) for form in footer.FORMS],
            [footer.html_footer(who, list_name, form) for form in footer.FORMS],
        ),
        ids=(campaign_id, list_id),
        list_name=list_name or list_id,
        link=public_url.rstrip("/") + "/u/",
        has_html=bool(html.strip()),
        images=[*shown.values()],
        return_paths=return_paths,
        answers_to_us=answers_to_us,
        now=now,
    )


def _short(id: str) -> bytes:
    """An id without its prefix, as it can stand in an address; of an id that is not one of ours, a digest."""
    tail = id.rpartition("_")[2]
    if _ID.fullmatch(tail):
        return tail.encode()
    return hashlib.sha256(id.encode()).hexdigest()[:26].encode()


def _ours(field: str, address: str, wrong: list[FieldError]) -> bytes:
    """As it stands in a header; what is wrong with it is added to `wrong`."""
    try:
        made, needs_utf8 = path(address.encode())
        if needs_utf8 or not made:
            raise BadAddress("before the @, only ASCII: not every server takes another (RFC 6531)")
    except (BadAddress, UnicodeError) as error:
        wrong.append(FieldError(field, str(error)))
        return b""
    return made
