"""What is made to pass in seven bits reads as it did."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from postlaw_sending.campaigns.domain.images import Image
from postlaw_sending.delivery.seven_bit import seven_bit
from services.sending.tests.messages.compiled import Person, campaign, parsed, part

_PNG = b"\x89PNG\r\n\x1a\n" + bytes(300)
_TEXT = st.text(st.characters(blacklist_categories=("Cs",)), max_size=300)


@given(name=_TEXT, before=st.sampled_from(["", "Grüße ", "Привет ", "x" * 990, "--=_", "= \t\n", ".\n..\n"]))
def test_whatever_stands_in_a_message_it_reads_the_same(name: str, before: str) -> None:
    """RFC 2045 §6.7, §6.8; the boundaries of RFC 2046 §5.1.1 stay where they are, an image's base64 as it is."""
    images = [Image("logo.png", "image/png", _PNG)]
    made = campaign(text=before + "{{ name }}", html=before + '<p>{{ name }}</p><img src="cid:logo.png">', images=images)
    message = made.render(Person(fields={"name": name}))
    passed = seven_bit(message)
    assert passed.isascii() and passed.count(b"\n") == passed.count(b"\r\n") == passed.count(b"\r")
    was, read = parsed(message), parsed(passed)
    assert [(head, value) for head, value in read.items() if head != "Content-Transfer-Encoding"] == was.items()
    assert [one.get_content_type() for one in read.walk()] == [one.get_content_type() for one in was.walk()]
    assert not [defect for one in read.walk() for defect in one.defects]
    assert [part(read, kind) for kind in ("plain", "html")] == [part(was, kind) for kind in ("plain", "html")]


def test_a_text_alone_passes_and_what_is_in_a_header_stays() -> None:
    """RFC 6532: letters in a header are the server's to take (SMTPUTF8), and nothing here can make them pass."""
    alone = campaign(text="Grüße\n", html="").render(Person())
    assert seven_bit(alone).isascii() and part(parsed(seven_bit(alone)), "plain") == part(parsed(alone), "plain")
    written = campaign(text="Hello\n", html="", sender_name="Blumen").render(Person(address="jörg@example.com"))
    assert seven_bit(written) == written
    unsaid = "Subject: x\r\n\r\né".encode()
    assert seven_bit(unsaid) == unsaid


def test_a_text_in_another_script_is_not_blown_up() -> None:
    alone = campaign(text="Привет, как дела? " * 40, html="", sender_name="Blumen").render(Person())
    assert b"base64" in seven_bit(alone) and len(seven_bit(alone)) < 1.5 * len(alone)
    assert part(parsed(seven_bit(alone)), "plain") == part(parsed(alone), "plain")
