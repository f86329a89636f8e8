"""The pages of a sign-up: the form, what is said to whoever sent it, and the page behind the link of the confirmation mail."""

from __future__ import annotations

from postlaw_gateway.public_pages.pages import Mail, marked, page
from postlaw_gateway.wire import Confirmation, Form, Sender

_TITLES = {"open": "title_confirm", "confirmed": "title_confirmed", "expired": "title_expired", "void": "title_void"}


def form(language: str, form: Form, token: str, *, wrong: str = "", address: str = "") -> bytes:
    """`wrong`: the name of what the page says about what was sent; `address`: what was typed."""
    return page(
        "form.html", language, "title_form", _mail(form), form=form, token=token, wrong=wrong, typed=address, list=marked(form.list_name)
    )


def taken(language: str, form: Form) -> bytes:
    """The one answer to every sign-up."""
    return page("taken.html", language, "title_taken", _mail(form), form=form, list=marked(form.list_name))


def confirmation(language: str, found: Confirmation, masked_address: str) -> bytes:
    mail = Mail(_mail(found.form).sender, masked_address)
    return page("confirm.html", language, _TITLES[found.state], mail, found=found, form=found.form, list=marked(found.form.list_name))


def _mail(form: Form) -> Mail:
    return Mail(Sender(form.sender_name, form.postal_address, form.sender_address))
