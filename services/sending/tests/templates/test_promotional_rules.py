"""What advertises, by rules: each language's words, and where links go; and what must never be taken for it."""

from __future__ import annotations

import pytest

from postlaw_common.testing.promises import promise
from postlaw_sending.campaigns.domain.campaign import Template
from postlaw_sending.templates.promotional import WORDS, Promotion, promotions

ADVERTISES = {
    "en": [
        "Get 20% off",
        "Save up to $50",
        "Your promo code",
        "a limited-time offer",
        "Shop now",
        "Summer sale",
        "You may also like these",
    ],
    "de": ["20 % Rabatt auf alles", "Ihr Gutscheincode", "Sonderangebote", "Jetzt kaufen", "Das könnte Ihnen auch gefallen"],
    "fr": ["20% de réduction", "votre code promo", "offre spéciale", "Vous aimerez aussi", "Ventes privées"],
    "es": ["20% de descuento", "código promocional", "oferta exclusiva", "También te puede gustar", "Rebajas"],
    "it": ["20% di sconto", "codice sconto", "offerta speciale", "Acquista ora", "Potrebbe piacerti"],
    "nl": ["20% korting", "kortingscode", "tijdelijke aanbieding", "Bestel nu", "Nieuwe collectie"],
}
SERVES = [
    "Your order 4711 has been shipped and arrives on Monday.",
    "Invoice 2026-11: total 100.00 €, VAT 20 %, discount 5.00 €.",
    "You bought: 2 × Summer dress. Sale price 20.00 €.",
    "Your password was changed. If it was not you, write to us.",
    "Our terms change on 1 January. What is new:",
    "Ihre Bestellung ist unterwegs. Die Rechnung enthält 19 % Umsatzsteuer.",
    "Votre commande a été expédiée. TVA 20 %.",
    "Tu pedido está en camino. IVA 21 % incluido.",
    "Il tuo ordine è stato spedito. IVA 22 % inclusa.",
    "Je bestelling is onderweg. Inclusief 21% btw.",
    "Follow it: https://shop.example/orders/4711?utm_source=mail and https://sale.example/",
]


def text(*lines: str) -> Template:
    return Template("Your order", "", "\n".join(lines))


@promise("M2", "G2")
@pytest.mark.parametrize(("language", "line"), [(language, line) for language, lines in ADVERTISES.items() for line in lines])
def test_words_that_advertise_are_found_where_they_stand(language: str, line: str) -> None:
    assert WORDS[language].search(line)
    (found,) = promotions(text("Hello", line))
    assert (found.field, found.line, found.what in line) == ("template.text", 2, True)


@pytest.mark.parametrize("line", SERVES)
def test_what_an_order_an_invoice_or_a_notice_says_is_no_advertisement(line: str) -> None:
    assert promotions(text(line)) == []
    assert promotions(Template(line, f"<p>{line}</p>", line)) == []


@promise("M2")
def test_where_a_link_goes_says_it_whatever_its_text_does() -> None:
    page = '<style>a { content: "Shop now" }</style>\n<p>Your order</p>\n<a href="https://a.example/x?coupon=TEN">Details</a>'
    page += '\n<img alt="20% off" src="x">'
    assert promotions(Template("Order", page, "x")) == [
        Promotion("template.html", 3, "https://a.example/x?coupon=TEN"),
        Promotion("template.html", 4, "20% off"),
    ]
    assert promotions(Template("Flash sale", "", "https://a.example/deals/")) == [
        Promotion("template.subject", 1, "Flash sale"),
        Promotion("template.text", 1, "https://a.example/deals/"),
    ]


def test_every_language_of_the_rules_is_tried() -> None:
    assert ADVERTISES.keys() == WORDS.keys()
