"""Subjects that deceive, and those that must never be taken for it. Measured on public mails: ADR 27."""

from __future__ import annotations

import pytest

from postlaw_common.testing.promises import promise
from postlaw_sending.checklist.message_checks import Shown, links, shown
from postlaw_sending.checklist.subjects import deceptions

DECEIVES = {
    "conversation": [
        "Re: the spring catalogue", "RE: 6.25 30 YR Fixed Home Loan", "FW: FOCUS ON VALUE", "Fwd: next Tuesday at 9am",
        "[News] Re: hello", "AW: Ihr Termin",
        "WG: Angebot", "TR : votre rendez-vous", "RV: oferta", "Antw: afspraak", "Re[2]: prices",
        "Education opportunity that we spoke about",
    ],
    "order": [
        "Your order 1963", "Your Shipment Status", "Shipment Status", "Order confirmation", "Your invoice is ready", "Payment declined",
        "Notification for Payment Received!", "Overdue invoice", "Ihre Bestellung wurde versandt", "Votre commande est en route",
        "Tu pedido ha salido",
        "Il tuo ordine è partito", "Je bestelling is onderweg",
    ],
    "security": [
        "WARNING: Your computer may contain a virus!", "Your account has been suspended", "Verify your account", "Unusual sign-in activity",
        "Password reset", "Security alert", "Account Information", "Ihr Konto wurde gesperrt", "Votre compte a été suspendu",
    ],
    "returned": ["Undeliverable JPTJ", "Returned mail: see transcript", "Mail delivery failed"],
    "approval": ["You Are Approved!!!", "You have won", "Sie haben gewonnen"],
}  # fmt: skip
HONEST = [
    "20% off your next order", "Free delivery on your order this week", "Get a gift with every order", "Order now, pay in June",
    "Our new security features", "How to keep your password safe", "Report: the state of payments", "Reading list for spring",
    "Forward to a friend: our summer programme", "Security news: June", "What your account can do for you",
    "Great deals on the Summer's hottest MP3 players",
    "Response rates doubled", "Ressourcen für Ihren Garten", "Neue Rechnungsfunktion", "Nos idées de commande groupée",
    "Regards sur la mode", "Reiseangebote",
]  # fmt: skip


@promise("M2")
@pytest.mark.parametrize(("kind", "subject"), [(kind, subject) for kind, subjects in DECEIVES.items() for subject in subjects])
def test_a_subject_that_deceives_is_known_by_its_kind(kind: str, subject: str) -> None:
    assert kind in [found.name for found, _ in deceptions(subject)]


@promise("M2")
@pytest.mark.parametrize("subject", HONEST)
def test_an_honest_subject_is_not_taken_for_another(subject: str) -> None:
    assert deceptions(subject) == []


@pytest.mark.parametrize(
    ("link", "state"),
    [
        ("https://shop.example/a?b=c#d", "pass"), ("mailto:post@shop.example", "pass"), ("tel:+4930123", "pass"), ("#top", "pass"),
        ("http://shop.example", "warn"), ("", "fail"), ("https://", "fail"), ("javascript:alert(1)", "fail"), ("/relative", "fail"),
        ("https://shop.example:99999/", "fail"), ("https://shop example/", "fail"), ("mailto:", "fail"), ("https://a..b/", "fail"),
    ],
)  # fmt: skip
def test_a_link_is_broken_by_its_form_alone(link: str, state: str) -> None:
    message = Shown(shown(b"Subject: x\r\n\r\nx").headers, "x", f'<a href="{link}">x</a>')
    assert links(message, ours="https://mail.example.net/u/").state == state
