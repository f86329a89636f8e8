"""The pages that a recipient sees: server-rendered HTML without scripts, cookies or anything from elsewhere.

Made for a phone, a screen reader and a slow line: one column, one heading, native form elements, the system's own font.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape

from postlaw_gateway.wire import Link, Receipt, Sender

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1.125rem/1.5 system-ui,sans-serif;margin:0 auto;max-width:34rem;padding:1.5rem;overflow-wrap:anywhere}"
    "h1{font-size:1.5rem;line-height:1.25}"
    "form{margin:1.5rem 0}"
    "button{font:inherit;padding:.75rem 1.25rem;min-height:3rem;width:100%;border:2px solid;border-radius:.5rem;cursor:pointer}"
    "button.first{background:#1a4fb4;border-color:#1a4fb4;color:#fff}"
    "button.second{background:transparent;color:inherit;margin-top:1rem}"
    "button:focus-visible{outline:3px solid #c9730a;outline-offset:3px}"
    "dl,footer{border-top:1px solid;padding-top:1rem;font-size:1rem}dt{font-weight:bold}dd{margin:0 0 .75rem}"
    "@media(prefers-color-scheme:dark){button.first{background:#9dbcff;border-color:#9dbcff;color:#000}}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

# What the two buttons send; RFC 8058 has its own name and value, which the page does not use.
FIELD, THIS, EVERYTHING = "stop", "this", "everything"


def _page(title: str, body: str) -> bytes:
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="robots" content="noindex, nofollow">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{escape(title)}</h1>\n{body}</main>\n"
        "</body>\n</html>\n"
    ).encode()


def ask(link: Link, sender: Sender) -> bytes:
    """The page behind the link in a message."""
    by = _by(sender)
    form = '<form method="post">\n'
    if link.everything:
        title = "Stop all mail"
        form += _button("first", EVERYTHING, f"Stop all mail from {by}")
    else:
        title = "Stop this mail"
        form += _button("first", THIS, "Stop this mail") + _button("second", EVERYTHING, f"Stop everything from {by}")
    before = "<p>You have stopped this already. You need do nothing more.</p>\n" if link.already_withdrawn else ""
    what = f"<p>You will get no more mail {_about(link, by)}. That takes effect at once.</p>\n"
    after = "<p>Nothing changes until you press a button. You need no account and no password.</p>\n"
    return _page(title, f"{before}{what}{form}</form>\n{after}{_imprint(sender)}")


def done(receipt: Receipt, link: Link | None, sender: Sender) -> bytes:
    """The receipt of a withdrawal. `link` None: what it stands for could not be looked up."""
    by = _by(sender)
    said = "Done. The mail has stopped." if receipt.stopped else "Done. One message already on its way may still arrive."
    if receipt.already_withdrawn:
        said += " You had asked for this before."
    if receipt.everything:
        scope, more = f"all mail from {by}", ""
    else:
        scope = f"mail {_about(link, by)}" if link is not None else "this mail"
        more = f'<form method="post">\n{_button("second", EVERYTHING, f"Stop everything else from {by}, too")}</form>\n'
    return _page(
        "Your request is recorded" if not receipt.stopped else "The mail has stopped",
        f'<p role="status">{said}</p>\n<dl>\n<dt>What you stopped</dt>\n<dd>{scope}</dd>\n'
        f'<dt>When</dt>\n<dd><time datetime="{receipt.withdrawn_at}">{_readable(receipt.withdrawn_at)}</time></dd>\n'
        f"<dt>Receipt</dt>\n<dd><code>{escape(receipt.event_id)}</code></dd>\n</dl>\n"
        "<p>Keep the receipt if you like: it names your request in a log that nobody can change afterwards. You can close this page.</p>\n"
        f"{more}{_imprint(sender)}",
    )


def _about(link: Link, by: str) -> str:
    """What the mail is that stops: after "mail", in escaped HTML."""
    if link.everything:
        return f"from {by}"
    if link.topic:
        return f"about “{_name(link.topic)}” from {by}"
    return f"on the mailing list “{_name(link.list_name)}” from {by}" if link.list_name else f"on this mailing list from {by}"


def _by(sender: Sender) -> str:
    return _name(sender.name) if sender.name else "this sender"


def _name(text: str) -> str:
    """A customer's own words: they can neither mark up the page nor turn the direction of what stands around them."""
    return f"<bdi>{escape(text)}</bdi>"


def _imprint(sender: Sender) -> str:
    """Whose mail it is, and whose page."""
    if not sender.name:
        return ""
    address = f", {_name(sender.postal_address)}" if sender.postal_address else ""
    return f"<footer>The mail is from {_by(sender)}{address}. This page belongs to the service that delivers it.</footer>\n"


def _button(kind: str, value: str, words: str) -> str:
    return f'<button class="{kind}" type="submit" name="{FIELD}" value="{value}">{words}</button>\n'


def _readable(rfc3339: str) -> str:
    return f"{rfc3339[:10]} {rfc3339[11:19]} UTC"


def failed(status: int) -> bytes:
    """One page for every wrong link, whatever is wrong with it; others for what a person can do something about."""
    if status == 404:
        return _page(
            "This link does not work",
            "<p>It may have been cut off. Open it again from the message, or copy the whole address.</p>\n",
        )
    if status in (503, 504):
        return _page("Please try again", "<p>We could not take down your request just now. Please try again in a minute.</p>\n")
    return _page("This did not work", "<p>Please open the link from your message again, and press a button there.</p>\n")
