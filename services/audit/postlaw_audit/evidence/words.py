"""The account as people read it: plain text for a screen, and a page that can be printed."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from postlaw_audit.evidence.account import Account, Statement, moment
from postlaw_audit.evidence.shown import Ours
from postlaw_audit.notes import Checkpoint

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}"
    "h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #999}"
    "table{border-collapse:collapse;width:100%}td{padding:.3rem .8rem .3rem 0;vertical-align:top;border-bottom:1px solid #ddd}"
    "td:first-child,td:last-child{white-space:nowrap}.more td{border:0;color:#444}.more td+td{padding-left:1.5rem}"
    ".told{background:#f3f3f3;padding:.6rem 1rem}@media print{body{margin:0}}"
)


@dataclass(frozen=True, slots=True)
class Told:
    """`witnesses`: who has cosigned the checkpoint, where they are as many as the installation asks for; else none."""

    tenant_id: str
    asked_at: int
    searched_below: int
    complete: bool
    checkpoint: Checkpoint
    witnesses: Sequence[str]
    account: Account
    mail: Ours | None = None


def as_text(told: Told) -> str:
    lines: list[str] = []
    for title, statements in told.account.sections():
        lines += [title.upper(), *(line for statement in statements for line in _lines(statement)), ""]
    shown = ["THE MAIL THAT WAS SHOWN", *(f"  {line}" for line in _of_mail(told.mail)), ""] if told.mail else []
    return "\n".join([*shown, *lines, *_below(told), ""])


def as_page(told: Told) -> str:
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Evidence</title>',
        f"<style>{_STYLE}</style><h1>Evidence of one person</h1>",
        *(f"<p class=told>{html.escape(line)}</p>" for line in _below(told)),
    ]
    if told.mail:
        parts += ["<h2>The mail that was shown</h2>", *(f"<p>{html.escape(line)}</p>" for line in _of_mail(told.mail))]
    for title, statements in told.account.sections():
        rows = "".join(row for statement in statements for row in _rows(statement))
        parts.append(f"<h2>{html.escape(title)}</h2><table>{rows}</table>")
    return "\n".join([*parts, "</html>", ""])


def _of_mail(mail: Ours) -> Iterator[str]:
    key = mail.key
    until = f"to {moment(key['superseded_at_us'])}, when another took over" if key.get("superseded_at_us") else "on"
    yield f"Ours: {mail.message_id}, signed {moment(mail.signed_at * 1_000_000)} for {mail.domain} (DKIM)."
    if mail.attached:
        yield "It lay in the mail that was shown; of that one nothing is said."
    yield f"The key {mail.selector} was in use from {moment(key['published_at_us'])} {until}  [entry {key['index']}]"
    campaign_id = mail.delivery["said"]["campaign_id"]
    yield f"It was handed over to the person in its To, of campaign {campaign_id}  [entry {mail.delivery['index']}]"
    yield (
        "Header and body are what was signed."
        if mail.body_checked
        else "The header is what was signed. No body was shown, so nothing is said of it."
    )


def _below(told: Told) -> Iterator[str]:
    checkpoint = told.checkpoint
    searched = f"Searched: all entries of the log below {told.searched_below}."
    yield f"Of customer {told.tenant_id}, asked {moment(told.asked_at * 1_000_000)}. " + (
        searched if told.complete else "Only the newest are told: there are more."
    )
    yield f"Proved below the checkpoint of {checkpoint.size} entries of {checkpoint.origin}, root {checkpoint.root.hex()}."
    yield (
        f"Witnessed: cosigned by {', '.join(told.witnesses)}."
        if told.witnesses
        else "UNWITNESSED: nobody outside has cosigned that checkpoint, so it is not claimed that everybody is shown the same log."
    )


def _lines(statement: Statement) -> Iterator[str]:
    yield f"  {_at(statement)}{statement.text}{_entry(statement)}"
    yield from (f"    {detail.text}{_entry(detail)}" for detail in statement.details)


def _rows(statement: Statement) -> Iterator[str]:
    yield f"<tr><td>{_at(statement)}<td>{html.escape(statement.text)}<td>{_entry(statement).strip()}"
    yield from (f"<tr class=more><td><td>{html.escape(detail.text)}<td>{_entry(detail).strip()}" for detail in statement.details)


def _at(statement: Statement) -> str:
    return f"{moment(statement.at_us)}  " if statement.at_us else ""


def _entry(statement: Statement) -> str:
    return f"  [entry {statement.fact['index']}]" if statement.fact else ""
