"""A message to one person, from a template of ours: plain text, nothing promotional in it, and nothing that tells whether it was read.

It says who asks and how to reach them, as every message does (15 U.S.C. 7704(a)(5); CASL s. 6(2), which holds for transactional
messages too), and how to stop more of its kind.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Final

from postlaw_sending.delivery.paths import BadAddress, path
from postlaw_sending.messages.campaign import Recipient
from postlaw_sending.messages.footer import Sender
from postlaw_sending.messages.headers import one_line, phrase, unstructured
from postlaw_sending.messages.parts import encode
from postlaw_sending.messages.return_path import ReturnPaths
from postlaw_sending.messages.templates import RenderFailed

_FILES = Path(__file__).with_name("texts")
_OTHERWISE = "en"
_NO_BOUNDARY = b"\0"  # there is one part; a zero is not sent as it is in any case
_TEXTS: Final[Mapping[str, Mapping[str, Mapping[str, str]]]] = {
    file.stem: tomllib.loads(file.read_text(encoding="utf-8")) for file in sorted(_FILES.glob("*.toml"))
}
LANGUAGES: Final = frozenset(_TEXTS)
TEMPLATES: Final = frozenset(_TEXTS[_OTHERWISE])


@dataclass(frozen=True, slots=True)
class Single:
    """`template`: one of TEMPLATES. `language`: BCP 47; English where there is no text in it. `action_url`: where the person acts."""

    message_id: str
    template: str
    language: str
    sender_name: str
    sender_address: str
    postal_address: str
    contact: str
    list_name: str
    action_url: str


class CompiledSingle:
    """As CompiledCampaign, for its one recipient."""

    def __init__(
        self, single: Single, public_url: str, return_paths: ReturnPaths, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._single = single
        self._return_paths = return_paths
        self._link = public_url.rstrip("/") + "/u/"
        self._now = now
        self._id = single.message_id.rpartition("_")[2].encode()
        self._domain = single.sender_address.rpartition("@")[2].encode()

    @property
    def sender_domain(self) -> str:
        """Of From, in lower case."""
        return self._single.sender_address.rpartition("@")[2].lower()

    def render(self, recipient: Recipient) -> bytes:
        """One whole RFC 5322 message. Raises RenderFailed."""
        single = self._single
        try:
            to, _ = path(recipient.address.encode())
            sender, needs_utf8 = path(single.sender_address.encode())
        except (BadAddress, UnicodeError) as wrong:
            raise RenderFailed("an address cannot be mailed") from wrong
        if not to or not sender or needs_utf8:
            raise RenderFailed("an address cannot be mailed")
        stop = self._link + recipient.opt_out_token.decode("ascii")
        said = _text_of(single.language)[single.template]
        values = {
            "sender": one_line(single.sender_name),
            "list": one_line(single.list_name),
            "action_url": single.action_url,
            "stop_url": stop,
        }
        who = Sender(single.sender_name, single.postal_address, single.contact).lines()
        body = "\n".join([said["text"].strip().format(**values), "", "-- ", *who, ""])
        encoding, text = encode(body.encode(), _NO_BOUNDARY)
        return b"".join(
            [
                b"From: %b <%b>\r\nTo: <%b>\r\n" % (phrase(single.sender_name), sender, to),
                b"Subject: %b\r\n" % unstructured(said["subject"].format(**values), 9),
                b"Date: %b\r\nMessage-ID: <%b@%b>\r\n" % (format_datetime(self._now()).encode(), self._id, self._domain),
                b"Auto-Submitted: auto-generated\r\n",  # RFC 3834 §5: no vacation notice answers it
                b"List-Unsubscribe: <%b>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" % stop.encode(),
                b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n",
                b"Content-Transfer-Encoding: %b\r\n\r\n" % encoding,
                text,
            ]
        )

    def envelope_from(self, recipient: Recipient) -> bytes:
        """The return path of this message (return_path.py)."""
        return self._return_paths.of_single(self._id, recipient.address_key, self._domain)


def _text_of(language: str) -> Mapping[str, Mapping[str, str]]:
    return _TEXTS.get(language.partition("-")[0].lower(), _TEXTS[_OTHERWISE])
