"""One message, whole: what a recipient's mail program and the next server get to see."""

from __future__ import annotations

import html
from pathlib import Path

import pytest

from postlaw_common.errors import Invalid
from postlaw_common.testing.promises import promise
from postlaw_sending.messages import RenderFailed
from postlaw_sending.messages.footer import FORMS, Form
from services.sending.tests.messages.compiled import (
    ADDRESS_KEY,
    CAMPAIGN,
    LIST,
    RETURN_PATHS,
    SUBSCRIBER,
    TOKEN,
    Person,
    campaign,
    lines,
    parsed,
    part,
    started_return_paths,
)  # fmt: skip

GOLDEN = Path(__file__).parent / "golden.eml"
RETURN_PATH = b"b+01m84s6memev1rrrm3cf6xsn8601c8c9cacbcccdcecfd0d1d2d30b7113d734@blumen.example"


def test_a_message_is_what_it_was() -> None:
    """The golden file is the whole message, octet for octet; change it only on purpose."""
    assert campaign().render(Person(fields={"name": "Ada"})) == GOLDEN.read_bytes()


@promise("M5")
def test_the_unsubscribe_link_is_in_the_headers_and_in_both_bodies() -> None:
    """RFC 8058 §3.1, RFC 2369 §3.2: one HTTPS link, one click; and for a person to see, whatever the template says."""
    message = parsed(campaign().render(Person(fields={"name": "Ada"})))
    link = f"https://mail.example.net/u/{TOKEN.decode()}"
    assert message["List-Unsubscribe"] == f"<{link}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert f"Unsubscribe: {link}" in part(message, "plain")
    page = part(message, "html")
    assert f'href="{link}">Unsubscribe</a>' in page
    assert page.index(link) < page.index("</body>")


@promise("M5")
def test_where_returned_mail_is_taken_a_mail_unsubscribes_too() -> None:
    """RFC 6068 §2."""
    """RFC 8058 §3.1: one HTTPS link, other schemes beside it. RFC 5322 §2.1.1: lines of 998 octets at most, also of the longest token."""
    longest = b"A" * 520
    message = campaign(return_paths=started_return_paths("returns.example")).render(Person(opt_out_token=longest))
    link = f"https://mail.example.net/u/{longest.decode()}"
    assert parsed(message)["List-Unsubscribe"] == f"<{link}>, <mailto:unsubscribe@returns.example?subject={longest.decode()}>"
    assert parsed(message)["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert max(map(len, message.split(b"\r\n"))) <= 998


@promise("M4")
def test_the_footer_names_sender_place_and_reason_in_both_bodies() -> None:
    message = parsed(campaign().render(Person(fields={"name": "Ada"})))
    assert "Blumen & Söhne\nGartenweg 1\n12345 Berlin\nGermany\nTel. +49 30 123456\n" in part(message, "plain")
    assert "Blumen &amp; Söhne<br>Gartenweg 1<br>12345 Berlin<br>Germany<br>Tel. +49 30 123456</p>" in part(message, "html")
    for kind in ("plain", "html"):
        assert "because you subscribed to Spring news" in part(message, kind)
        assert "You may object to marketing mail at any time" in part(message, kind)


@pytest.mark.parametrize(("number", "form"), [*enumerate(FORMS)])
@promise("M3")
def test_each_form_of_the_footer_says_why_and_only_a_labelled_one_that_it_advertises(number: int, form: Form) -> None:
    why = {
        "subscribed": "because you subscribed to Spring & more.",
        "relationship": "because of your relationship with Blumen & Söhne.",
        "listed": "because your address is on the list Spring & more of Blumen & Söhne.",
    }
    message = parsed(campaign(list_name="Spring & more").render(Person(fields={"name": "Ada"}, footer=number)))
    text, page = part(message, "plain"), html.unescape(part(message, "html"))
    for said in (text, page):
        assert [words for words in why.values() if words in said] == [why[form.why]]
    assert ("\n-- \nAdvertisement\nBlumen" in text) == ("<strong>Advertisement</strong>" in page) == form.labelled


def test_a_footer_of_a_later_version_is_not_taken_for_another() -> None:
    with pytest.raises(RenderFailed, match="later version"):
        campaign().render(Person(footer=len(FORMS)))


def test_a_sender_without_a_contact_has_no_line_for_it() -> None:
    text = part(parsed(campaign(contact="").render(Person())), "plain")
    assert "\nGermany\n\nYou receive" in text


@pytest.mark.parametrize(
    ("html", "end"),
    [
        ("<p>x</p>", "</div>\n"),
        ("<body>x</BODY  >", "</BODY  >"),
        ("<body><pre>&lt;/body></pre></body></html>\n", "</body></html>\n"),
        ("{% if name %}<body>x</body>{% endif %}", "</body>"),
    ],
)
@promise("M5")
def test_the_footer_stands_inside_the_body_where_there_is_one(html: str, end: str) -> None:
    page = part(parsed(campaign(html=html).render(Person(fields={"name": "Ada"}))), "html")
    assert page.endswith(end) and page.count("Unsubscribe</a>") == 1


def test_the_headers_name_list_campaign_and_message() -> None:
    """RFC 2919 §3 (List-Id), RFC 5322 §3.6.4 (Message-ID), and a Message-ID that is the same for the same recipient."""
    compiled = campaign()
    message = parsed(compiled.render(Person(fields={"name": "Ada"})))
    assert message["List-Id"] == f'"Spring news" <{LIST}.blumen.example>'
    assert message["Message-ID"] == f"<{CAMPAIGN[4:]}.{SUBSCRIBER[4:]}@blumen.example>"
    assert message["Feedback-ID"] == f"{CAMPAIGN}:{LIST}:campaign:postlaw"
    assert message["Date"] == "Fri, 15 Jan 2027 08:00:00 +0000"
    assert TOKEN.decode() not in message["Message-ID"]
    other = parsed(compiled.render(Person(fields={"name": "Ada"}, subscriber_id="sub_01m84s6mfrfwvr1ynydrhx30px")))
    assert other["Message-ID"] != message["Message-ID"]


def test_the_return_path_is_what_it_was() -> None:
    """Bounces come days later: what once was sent must still be read. Change it only on purpose."""
    assert campaign().envelope_from(Person()) == RETURN_PATH
    assert campaign(return_paths=started_return_paths("returns.example")).envelope_from(Person()).endswith(b"@returns.example")


def test_the_return_path_names_nobody() -> None:
    """RFC 5321 §4.5.3.1.1: 64 octets at most before the @."""
    envelope = campaign().envelope_from(Person(address="ada.lovelace@example.com"))
    local, _, domain = envelope.partition(b"@")
    assert domain == b"blumen.example" and local.startswith(b"b+") and len(local) == 64
    assert b"ada" not in envelope and TOKEN not in envelope
    assert campaign().envelope_from(Person(address_key=bytes(33))) != envelope


@promise("M6")
def test_a_return_path_is_read_in_any_case_and_not_once_anything_in_it_was_changed() -> None:
    """RFC 7693 §2.9: its tag is keyed."""
    path = campaign().envelope_from(Person()).decode()
    assert RETURN_PATHS.read(path.upper()) == RETURN_PATHS.read(path) == (CAMPAIGN, ADDRESS_KEY[:13])
    for place, character in enumerate(path.partition("@")[0]):
        other = "1" if character != "1" else "2"
        assert RETURN_PATHS.read(path[:place] + other + path[place + 1 :]) is None
    assert [RETURN_PATHS.read(wrong) for wrong in ("", "@", "b+@x", f"x{path}", path.partition("@")[0], f"{path}@x")] == [None] * 6


def test_a_message_without_html_is_plain_text() -> None:
    message = parsed(campaign(html="").render(Person(fields={"name": "Ada"})))
    assert message.get_content_type() == "text/plain"
    assert lines(message.get_content()).startswith("Dear Ada,\n")


@promise("S8")
def test_what_is_wrong_with_a_campaign_is_said_field_by_field() -> None:
    with pytest.raises(Invalid) as invalid:
        campaign(
            subject="{{ a b }}",
            html="ok\n\n{% if x %}",
            text="{{ x | nosuchfilter }}",
            sender_name=" ",
            postal_address="\n",
            sender_address="jörg@example.org",
        )
    wrong = {error.field: error.message for error in invalid.value.fields}
    assert set(wrong) == {
        "template.subject", "template.html", "template.text", "sender.name", "sender.postal_address", "sender.address",
    }  # fmt: skip
    assert "line 1" in wrong["template.subject"] and "nosuchfilter" in wrong["template.text"]
    with pytest.raises(Invalid):
        campaign(sender_address="post@x.example>\r\nBcc: <y@z.example")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("plain\n", "7bit"), ("é\n", "8bit"), ("x" * 998, "7bit"), ("x" * 999, "base64"), ("a\0b", "base64"), ("a\rb\nc\r\n", "7bit")],
)
def test_a_body_goes_as_it_is_where_mime_allows(text: str, encoding: str) -> None:
    """RFC 2045 §2.7, §2.8, §6.2: lines of at most 998 octets, CRLF alone ends a line, no NUL."""
    compiled = campaign(html="", text="{{ body }}", postal_address="Road", sender_name="Shop")
    raw = compiled.render(Person(fields={"name": "Ada", "body": text}))
    message = parsed(raw)
    assert message["Content-Transfer-Encoding"] == encoding
    assert lines(message.get_content()).startswith(lines(text))
    assert raw.count(b"\n") == raw.count(b"\r") == raw.count(b"\r\n")


@pytest.mark.parametrize(
    "text", ['{{ "a\\nb" }}', "{{ body|replace('-', '\\n') }}", "{% set x %}\n{% endset %}{{ x|trim }}{{ 'a\\rb' }}", "{{ body }}"]
)
def test_a_line_end_that_a_template_makes_becomes_one_of_mails(text: str) -> None:
    for body in ("a-b", "a\nb", "a\rb"):
        raw = campaign(html="", text=text).render(Person(fields={"body": body}))
        assert raw.count(b"\n") == raw.count(b"\r") == raw.count(b"\r\n")


def test_international_domains_and_addresses() -> None:
    """RFC 5891 for domains; RFC 6532 §3.2 where the part before the @ is international too."""
    compiled = campaign(sender_address="post@bücher.example")
    raw = compiled.render(Person(address="ada@grüße.example", fields={"name": "Ada"}))
    assert b"\r\nTo: <ada@xn--gre-6ka8l.example>\r\n" in raw and b"post@xn--bcher-kva.example>" in raw
    assert compiled.envelope_from(Person()).endswith(b"@xn--bcher-kva.example")
    raw = compiled.render(Person(address="jörg@grüße.example", fields={"name": "Ada"}))
    assert "\r\nTo: <jörg@xn--gre-6ka8l.example>\r\n".encode() in raw
