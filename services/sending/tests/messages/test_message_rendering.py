"""One message, whole: what a recipient's mail program and the next server get to see."""

from __future__ import annotations

import email
import email.header
import email.policy
import email.utils
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postlaw_common.errors import Invalid
from postlaw_common.testing.promises import promise
from postlaw_sending.messages import CompiledCampaign, RenderFailed, compile_campaign

GOLDEN = Path(__file__).parent / "golden.eml"
TOKEN = b"v1.AAECAwQFBgcICQoLDA0ODw"
CAMPAIGN, LIST, SUBSCRIBER = "cmp_01m84s6memev1rrrm3cf6xsn86", "lst_01m84s6memev1rrrm3cf6xsn87", "sub_01m84s6mfrfwvr1ynydrhx30pw"


@dataclass(frozen=True)
class Person:
    address: str = "ada@example.com"
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    opt_out_token: bytes = TOKEN
    subscriber_id: str = SUBSCRIBER


def campaign(
    subject: str = "Hello {{ name }}",
    html: str = "<html><body><p>Dear {{ name }}</p></body></html>",
    text: str = "Dear {{ name }},\n\nit is spring.\n",
    sender_name: str = "Blumen & Söhne",
    sender_address: str = "post@blumen.example",
    postal_address: str = "Gartenweg 1\n12345 Berlin\nGermany",
    list_name: str = "Spring news",
) -> CompiledCampaign:
    return compile_campaign(
        subject=subject,
        html=html,
        text=text,
        sender_name=sender_name,
        sender_address=sender_address,
        postal_address=postal_address,
        list_name=list_name,
        campaign_id=CAMPAIGN,
        list_id=LIST,
        public_url="https://mail.example.net/",
        now=lambda: 1_800_000_000.5,
    )


def parsed(message: bytes) -> EmailMessage:
    return email.message_from_bytes(message, policy=email.policy.default)


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return lines(body.get_content())


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


@promise("M4")
def test_the_footer_names_sender_place_and_reason_in_both_bodies() -> None:
    message = parsed(campaign().render(Person(fields={"name": "Ada"})))
    assert "Blumen & Söhne\nGartenweg 1\n12345 Berlin\nGermany" in part(message, "plain")
    assert "Blumen &amp; Söhne<br>Gartenweg 1<br>12345 Berlin<br>Germany" in part(message, "html")
    for kind in ("plain", "html"):
        assert "because you subscribed to Spring news" in part(message, kind)


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


def test_the_return_path_names_nobody() -> None:
    """RFC 5321 §4.5.3.1.1: 64 octets at most before the @."""
    envelope = campaign().envelope_from(Person(address="ada.lovelace@example.com"))
    local, _, domain = envelope.partition(b"@")
    assert domain == b"blumen.example" and local.startswith(b"bounce+") and len(local) <= 64
    assert b"ada" not in envelope and TOKEN not in envelope
    assert campaign().envelope_from(Person(subscriber_id="Ümlaut id")) != envelope


def test_a_message_without_html_is_plain_text() -> None:
    message = parsed(campaign(html="").render(Person(fields={"name": "Ada"})))
    assert message.get_content_type() == "text/plain"
    assert lines(message.get_content()).startswith("Dear Ada,\n")


def test_html_is_escaped_and_text_is_not() -> None:
    message = parsed(campaign().render(Person(fields={"name": "<b>Ada & Co</b>"})))
    assert "Dear <b>Ada & Co</b>," in part(message, "plain")
    assert "Dear &lt;b&gt;Ada &amp; Co&lt;/b&gt;" in part(message, "html").replace("&#x2f;", "/")
    assert message["Subject"] == "Hello <b>Ada & Co</b>"


def test_a_missing_field_is_empty_and_our_values_cannot_be_replaced() -> None:
    """A row of an import may lack an optional field. `address` and `unsubscribe_url` are ours."""
    compiled = campaign(subject="x{{ nothing }}", text="{{ address }} {{ unsubscribe_url }}")
    message = parsed(compiled.render(Person(fields={"address": "evil@example.com", "unsubscribe_url": "https://evil.example"})))
    assert message["Subject"] == "x"
    assert part(message, "plain").startswith(f"ada@example.com https://mail.example.net/u/{TOKEN.decode()}")


@pytest.mark.parametrize(
    ("fields", "template", "reason"),
    [
        ({"age": "many"}, "{{ age | int }}", "template.text line 1: InvalidOperation"),
        ({}, "\n{{ child.name.first }}", "template.text line 2: UndefinedError"),
        ({"n": "x"}, "{% for a in range(9999) %}{% for b in range(9999) %}{{ n }}{% endfor %}{% endfor %}", "OutOfFuel"),
        ({"n": "x" * 2_000}, "{% for a in range(1000) %}{{ n }}{% endfor %}", "more than 1 MB"),
        ({"n": "x"}, "{{ n * 100000000000 }}", "template.text line 1"),
    ],
)
def test_what_fails_one_recipient_is_a_reason_without_their_data(fields: dict[str, str], template: str, reason: str) -> None:
    compiled = campaign(subject="s", html="", text=template)
    with pytest.raises(RenderFailed, match=reason) as failed:
        compiled.render(Person(fields=fields))
    assert "many" not in failed.value.reason
    assert compiled.render(Person(fields={"age": "7", "child": ""})) if "age" in fields else True


@pytest.mark.parametrize(
    "person",
    [
        Person(address="no address"),
        Person(address=""),
        Person(address="a@b\r\nBcc: x@y"),
        Person(opt_out_token=b""),
        Person(opt_out_token=b"a>\r\nBcc: x@y"),
        Person(address="a\ud800@example.com"),
    ],
)
def test_who_cannot_be_mailed_fails_alone(person: Person) -> None:
    with pytest.raises(RenderFailed):
        campaign().render(person)


def test_a_subject_that_renders_as_nothing_fails() -> None:
    with pytest.raises(RenderFailed, match="renders as nothing"):
        campaign(subject="{{ name }}").render(Person(fields={"name": " \n "}))


def test_no_python_object_is_reachable_from_a_template() -> None:
    """Design §4. Values are strings, and their attributes are the template language's own."""
    escapes = "{{ name.__class__ }}{{ name.__class__.__mro__ }}{{ self }}{{ ''.__init__ }}"
    try:
        text = part(parsed(campaign(text="start" + escapes).render(Person(fields={"name": "Ada"}))), "plain")
        assert text.startswith("start") and "class" not in text.split("-- ")[0] and "<" not in text.split("-- ")[0]
    except RenderFailed as failed:
        assert "UndefinedError" in failed.reason
    for reach in ("{{ open('/etc/passwd') }}", "{% include '/etc/passwd' %}"):
        with pytest.raises(Invalid):
            campaign(text=reach)


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
    """RFC 2045 §2.7, §2.8: lines of at most 998 octets, CRLF alone ends a line, no NUL."""
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


@promise("M1")
@settings(max_examples=300, deadline=None)
@given(value=st.text(max_size=400), name=st.text(min_size=1, max_size=200))
def test_no_value_can_get_out_of_its_place(value: str, name: str) -> None:
    """Whatever a field or a sender's name holds: the same headers, each once, the same parts, nothing added."""
    try:
        compiled = campaign(
            subject="Hi {{ v }}", text="a {{ v }} b", html="<p>{{ v }}</p>", sender_name=name, list_name=name, postal_address=name
        )
    except Invalid:
        return
    raw = compiled.render(Person(fields={"v": value}))
    message = parsed(raw)
    assert list(message.keys()) == [
        "From", "To", "Subject", "Date", "Message-ID", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID",
        "MIME-Version", "Content-Type",
    ]  # fmt: skip
    assert [p.get_content_type() for p in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert [d for p in message.walk() for d in p.defects] == []
    assert (message["From"].addresses[0].addr_spec, message["To"]) == ("post@blumen.example", "ada@example.com")
    assert len(message["From"].addresses) == 1
    assert words(message["Subject"]) == words(f"Hi {value}")
    assert part(message, "plain").startswith(lines(f"a {value} b"))
    head = raw.split(b"\r\n\r\n")[0]
    assert max(map(len, raw.split(b"\r\n"))) <= 998 and head.isascii()
    assert raw.count(b"\n") == raw.count(b"\r") == raw.count(b"\r\n")


def words(text: str) -> list[str]:
    """A header's words: controls and runs of space count as one space."""
    spaced = "".join(" " if c <= " " or "\x7f" <= c <= "\x9f" or c in "\u2028\u2029" else c for c in text)
    return [word for word in spaced.split(" ") if word]


def lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.sampled_from('ab =?_ü\t\r\n日."\\<>@,;:'), min_size=1, max_size=300))
def test_a_display_name_arrives_as_it_was_meant(name: str) -> None:
    """RFC 5322 §3.2.4 quoted strings, RFC 2047 encoded words: only controls and runs of space are changed."""
    try:
        raw = campaign(sender_name=name).render(Person(fields={"name": "Ada"}))
    except Invalid:
        return
    value = email.message_from_bytes(raw, policy=email.policy.compat32)["From"]
    # By the older of the standard library's two readers: the newer, in Python 3.11, keeps the space between encoded words in a
    # display name, which RFC 2047 §6.2 has readers ignore.
    shown, address = email.utils.parseaddr(value)
    if "=?" in value:
        shown = str(email.header.make_header(email.header.decode_header(value.rpartition(" <")[0])))
        address = value.rpartition("<")[2].rstrip(">")
    assert address == "post@blumen.example"
    assert " ".join(shown.split()) == " ".join(name.split())


def test_a_value_that_holds_the_boundary_ends_no_part() -> None:
    """RFC 2046 §5.1.1: the boundary must not occur in a part; a recipient may have seen it in an earlier message."""
    compiled = campaign(text="{{ v }}")
    boundary = parsed(compiled.render(Person(fields={"v": "x", "name": "Ada"}))).get_boundary()
    message = parsed(compiled.render(Person(fields={"v": f"a\n--{boundary}--\nb", "name": "Ada"})))
    assert part(message, "plain").startswith(f"a\n--{boundary}--\nb\n")
    assert [p.get_content_type() for p in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]
