"""The preference centre's one page, and the words of each yes on it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from postlaw_gateway.public_pages.pages import Mail, marked, page, sender_in
from postlaw_gateway.public_pages.texts import Say, day, plain_sayer, sayer
from postlaw_gateway.wire import Choice, Preferences

PAUSES = (30, 60, 90, 0)  # days; 0: until the person ends it
OPENERS = ("start", "resume", "tracking_on")


@dataclass(frozen=True, slots=True)
class _Row:
    """A choice as it is shown. `yes` and `notice` where it can be started again: the words, and their hash."""

    scope: str
    name: str
    open: bool
    yes: str = ""
    notice: str = ""


def show(language: str, stands: Preferences, mail: Mail, *, said: str = "", already: bool = False) -> bytes:
    """`said`: the name of what the page says about a change that was just asked for; `already`: it stood so before."""
    say = sayer(language)
    until = day(language, datetime.fromisoformat(stands.paused_until)) if stands.paused_until else ""

    def yes(act: str) -> tuple[str, str]:
        return _words(say, act, "", stands, mail, marked), _notice(language, act, "", stands, mail)

    return page(
        "preferences.html",
        language,
        "title_preferences",
        mail,
        said=say(said, sender=sender_in(say, mail, marked)) if said else "",
        already=already,
        rows=[_row(language, choice, stands, mail) for choice in stands.choices],
        stands=stands,
        until=until,
        resume=yes("resume"),
        tracking_on=yes("tracking_on"),
        pauses=PAUSES,
        kept=mail.kept == language,
    )


def wording(language: str, act: str, scope: str, stands: Preferences, mail: Mail) -> str:
    """The words beside the button, as a notice keeps them. `scope`: of `start`."""
    return _words(plain_sayer(language), act, scope, stands, mail, str)


def _words(say: Say, act: str, scope: str, stands: Preferences, mail: Mail, name: Callable[[str], str]) -> str:
    by = sender_in(say, mail, name)
    if act != "start":
        return say(f"yes_{act}", sender=by)
    kind, _, id = scope.partition(":")
    if kind in ("topic", "brand"):
        return say("yes_start", scope=say(f"scope_{kind}", **{kind: name(id)}, sender=by))
    known = next((choice.list_name for choice in stands.choices if choice.scope == scope), "")
    return say("yes_start", scope=say("scope_list", list=name(known or id), sender=by))


def _notice(language: str, act: str, scope: str, stands: Preferences, mail: Mail) -> str:
    return hashlib.sha256(wording(language, act, scope, stands, mail).encode()).hexdigest()


def _row(language: str, choice: Choice, stands: Preferences, mail: Mail) -> _Row:
    say = sayer(language)
    name = say("quoted", name=marked(choice.list_name or choice.scope.partition(":")[2]))
    if choice.open:
        return _Row(choice.scope, name, open=True)
    words = _words(say, "start", choice.scope, stands, mail, marked)
    return _Row(choice.scope, name, open=False, yes=words, notice=_notice(language, "start", choice.scope, stands, mail))
