"""What the values of one recipient can do to their message: fail it alone, and never leave their place."""

from __future__ import annotations

import email
import email.header
import email.policy
import email.utils

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postlaw_common.errors import Invalid
from postlaw_common.testing.promises import promise
from postlaw_sending.messages import RenderFailed
from postlaw_sending.messages.headers import encoded_words
from services.sending.tests.messages.compiled import TOKEN, Person, campaign, lines, parsed, part


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


@promise("M1")
@settings(max_examples=300)
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


def test_each_encoded_word_is_short_and_whole_characters() -> None:
    """RFC 2047 §2: at most 75 octets; §5: each decodes by itself."""
    text = "aü日𝄞" * 40
    encoded = encoded_words(text).split(b"\r\n ")
    assert max(map(len, encoded)) <= 75
    assert "".join(str(email.header.make_header(email.header.decode_header(each.decode()))) for each in encoded) == text


def words(text: str) -> list[str]:
    """A header's words: controls and runs of space count as one space."""
    spaced = "".join(" " if c <= " " or "\x7f" <= c <= "\x9f" or c in "\u2028\u2029" else c for c in text)
    return [word for word in spaced.split(" ") if word]


@settings(max_examples=200)
@given(st.text(alphabet=st.sampled_from('ab =?_ü\t\r\n日."\\<>@,;:'), min_size=1, max_size=300))
def test_a_display_name_arrives_as_it_was_meant(name: str) -> None:
    """RFC 5322 §3.2.4 quoted strings in a phrase (§3.2.5), RFC 2047 encoded words: only controls and runs of space are changed."""
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
