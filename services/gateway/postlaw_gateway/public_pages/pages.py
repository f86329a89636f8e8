"""The pages that a recipient sees: server-rendered HTML without scripts, cookies or anything from elsewhere.

Made for a phone, a screen reader and a slow line: one column, one heading, native form elements, the system's own font.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from minijinja import Environment, escape, safe

from postlaw_gateway.public_pages.languages import LANGUAGES
from postlaw_gateway.public_pages.texts import TEXTS, Say, day, sayer
from postlaw_gateway.wire import Link, Receipt, Sender

_FILES = Path(__file__).with_name("templates")
_STYLE = (_FILES / "style.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_FAILURES = {
    404: ("title_bad_link", "bad_link"),
    410: ("title_retired", "retired"),
    429: ("title_try_again", "try_again"),
    503: ("title_try_again", "try_again"),
    504: ("title_try_again", "try_again"),
}
_OTHER_FAILURE = ("title_did_not_work", "did_not_work")


@dataclass(frozen=True, slots=True)
class Mail:
    """From whom mail is and to whom. Each may be unknown: the page then does without. `address` is masked; `kept`: the
    language that the person chose to keep."""

    sender: Sender = field(default_factory=Sender)
    address: str = ""
    kept: str = ""


def ask(language: str, token: str, link: Link, mail: Mail) -> bytes:
    """The page behind the link in a message."""
    title = "title_stop_everything" if link.everything else "title_stop_this"
    return page("ask.html", language, title, mail, token=token, link=link, **_scope(language, link, mail, everything=link.everything))


def done(language: str, token: str, receipt: Receipt, link: Link | None, mail: Mail) -> bytes:
    """The receipt of a withdrawal. `link` None: what it stands for could not be looked up."""
    title = "title_stopped" if receipt.stopped else "title_recorded"
    when = _instant(language, receipt.withdrawn_at)
    until = _instant(language, receipt.relay_until) if receipt.relay_until else ""
    scope = _scope(language, link, mail, everything=receipt.everything)
    return page("done.html", language, title, mail, token=token, receipt=receipt, when=when, at_relay_until=until, **scope)


def _instant(language: str, rfc3339: str) -> str:
    at = datetime.fromisoformat(rfc3339)
    return sayer(language)("when", day=day(language, at), time=f"{at:%H:%M:%S}")


def failed(language: str, status: int) -> bytes:
    """One page for every wrong link, whatever is wrong with it; others for what a person can do something about."""
    title, text = _FAILURES.get(status, _OTHER_FAILURE)
    say = sayer(language)
    return _render("failed.html", language=language, say=say, title=say(title), text=say(text))


def page(template: str, language: str, title: str, mail: Mail, **more: object) -> bytes:
    """A page that a person reaches by a good link. `more`: what the template asks for beside the mail."""
    say = sayer(language)
    by = sender_in(say, mail, marked)
    known = {"sender": mail.sender, "address": mail.address, "by": by, "name": marked}
    return _render(template, language=language, say=say, title=say(title), **known, **more)


def sender_in(say: Say, mail: Mail, name: Callable[[str], str]) -> str:
    """The sender, as it stands in a sentence."""
    return name(mail.sender.name) if mail.sender.name else say("this_sender")


def marked(text: str) -> str:
    """Others' own words: they can neither mark up the page nor turn the direction of what stands around them."""
    return safe(f"<bdi>{escape(text)}</bdi>")


def _scope(language: str, link: Link | None, mail: Mail, *, everything: bool) -> dict[str, str]:
    """What mail it is that stops, in words, and what will still come."""
    say = sayer(language)
    by = sender_in(say, mail, marked)
    if everything:
        return {"scope": say("scope_everything", sender=by), "still": say("still_account")}
    still = say("still_other", sender=by)
    if link is None:
        return {"scope": say("scope_this_mail"), "still": still}
    if link.topic:
        return {"scope": say("scope_topic", topic=marked(link.topic), sender=by), "still": still}
    if link.brand:
        return {"scope": say("scope_brand", brand=marked(link.brand), sender=by), "still": still}
    if link.list_name:
        return {"scope": say("scope_list", list=marked(link.list_name), sender=by), "still": still}
    return {"scope": say("scope_this_list", sender=by), "still": still}


def _render(template: str, **values: object) -> bytes:
    return _TEMPLATES.render_template(template, **values).encode()


_TEMPLATES = Environment(
    templates={path.name: path.read_text(encoding="utf-8") for path in _FILES.glob("*.html")},
    globals={"STYLE": safe(_STYLE), "LANGUAGES": [(tag, TEXTS[tag]["language"]) for tag in LANGUAGES]},
    undefined_behavior="strict",
)
