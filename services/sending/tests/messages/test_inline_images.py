"""Images within a message: shown by `cid:`, sent beside the HTML that shows them, made once a campaign."""

from __future__ import annotations

import base64
import hashlib

import pytest

from postlaw_common.errors import Invalid
from postlaw_common.testing.promises import promise
from postlaw_sending.campaigns.domain.images import Image
from services.sending.tests.messages.compiled import Person, campaign, parsed, part

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
LOGO = Image("logo.png", "image/png", PNG)
PHOTO = Image("photo", "image/jpeg", b"\xff\xd8\xff\xe0" + b"\0" * 3_000)
PAGE = "<html><body><img src=\"cid:logo.png\"><p style='background:url(CID:photo)'>Dear {{ name }}</p></body></html>"


def test_what_the_page_shows_is_sent_beside_it_and_found_by_its_content_id() -> None:
    """RFC 2387 §3.4: the page is the root, the first part. RFC 2392 §2: `cid:` and the Content-ID are the same, but for its brackets."""
    message = parsed(campaign(html=PAGE, images=[LOGO, PHOTO]).render(Person(fields={"name": "Ada"})))
    text, both = message.iter_parts()
    assert (message.get_content_type(), text.get_content_type()) == ("multipart/alternative", "text/plain")
    assert (both.get_content_type(), both.get_param("type")) == ("multipart/related", "text/html")
    page, *images = both.iter_parts()
    assert page.get_content_type() == "text/html" and "Dear Ada" in page.get_content()
    assert [(image.get_content_type(), image.get_content_disposition(), image.get_content()) for image in images] == [
        ("image/png", "inline", PNG),
        ("image/jpeg", "inline", PHOTO.content),
    ]
    for image in images:
        id = str(image["Content-ID"])
        assert id.startswith("<") and id.endswith("@blumen.example>") and f"cid:{id[1:-1]}" in page.get_content().replace("CID", "cid")
    assert not message.defects and not both.defects


def test_a_message_with_images_has_short_lines_and_one_that_shows_none_has_none() -> None:
    """RFC 5322 §2.1.1."""
    with_images = campaign(html=PAGE, images=[LOGO, PHOTO]).render(Person())
    assert max(map(len, with_images.split(b"\r\n"))) <= 998
    assert campaign(images=[LOGO]).render(Person()) == campaign().render(Person())


def test_a_page_that_holds_a_boundary_ends_no_part() -> None:
    """RFC 2046 §5.1.1, for both boundaries: whoever has had a message knows them."""
    compiled = campaign(html="<p>{{ v }}</p><img src='cid:photo'>", images=[PHOTO])
    _, both = parsed(compiled.render(Person(fields={"v": "x"}))).iter_parts()
    said = f"\n--{both.get_boundary()}--\n"
    message = parsed(compiled.render(Person(fields={"v": said})))
    assert said in part(message, "html")
    assert [each.get_content_type() for each in message.walk() if not each.is_multipart()] == ["text/plain", "text/html", "image/jpeg"]


def test_the_same_name_for_another_image_is_another_content_id() -> None:
    """RFC 2045 §7: world-unique, so no reader shows an earlier campaign's image."""
    ids = set[str]()
    for content in (b"GIF89a1", b"GIF89a2"):
        made = campaign(html="<img src='cid:a'>", images=[Image("a", "image/gif", content)]).render(Person())
        ids |= {str(each["Content-ID"]) for each in parsed(made).walk() if each["Content-ID"]}
    assert len(ids) == 2


@promise("M7")
@pytest.mark.parametrize(
    ("images", "html", "wrong"),
    [
        ([Image("a", "image/png", b"<svg onload=x>")], "<img src='cid:a'>", "a is no image/png: it begins otherwise"),
        ([Image("a", "image/svg+xml", b"<svg>")], "<img src='cid:a'>", "a is of no kind that every reader shows"),
        ([Image('a"\r\nBcc: x', "image/png", PNG)], "<p>", "the name of number 1 is none"),
        ([Image("a..b", "image/png", PNG)], "<p>", "the name of number 1 is none"),
        ([LOGO, LOGO], PAGE, "two are called logo.png"),
        ([Image("a", "image/gif", b"GIF89a" + b"\0" * 200_000)], "<p>", "a has 200,006 bytes"),
        ([Image(f"a{n}", "image/gif", b"GIF89a" + b"\0" * 150_000) for n in range(4)], "<p>", "they have 600,024 bytes together"),
        ([LOGO], PAGE, "shows cid:photo, of which there is no image"),
        ([LOGO], "<img src='cid:{{ name }}'>", "shows cid:{{, of which there is no image"),
    ],
)
def test_an_image_is_what_it_says_and_no_larger_than_a_message_can_bear(images: list[Image], html: str, wrong: str) -> None:
    """Its name stands in a Content-ID: RFC 5322 §3.4.1, as far as every reader goes along."""
    with pytest.raises(Invalid) as refused:
        campaign(html=html, images=images)
    assert any(field.message.startswith(wrong) for field in refused.value.fields)


def test_images_cost_a_message_nothing_but_their_octets(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are encoded and hashed when the campaign is compiled."""
    compiled = campaign(html=PAGE, images=[LOGO, PHOTO])
    first = compiled.render(Person())
    monkeypatch.delattr(base64, "encodebytes")
    monkeypatch.delattr(hashlib, "sha256")
    assert compiled.render(Person()) == first
