"""The inbox of `postlaw dev`: captured mail is shown, and can do nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from postlaw_mesh.catcher import Catcher
from postlaw_mesh.inbox import inbox
from postlaw_mesh.smtp_session import Taken

MESSAGE = (
    b"From: a@example.org\r\nTo: b@example.com\r\nSubject: <script>alert(1)</script>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    b'<body onload="alert(2)"></iframe><script>alert(3)</script><p class="x">Hello</p></body>\r\n'
)


@pytest.fixture
async def pages() -> AsyncIterator[httpx.AsyncClient]:
    catcher = Catcher()
    catcher.take(Taken(1_000, 2_000, b"a@example.org", [b"b@example.com", b"c@example.com"], MESSAGE))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(inbox(catcher)), base_url="http://inbox") as client:
        yield client


async def test_captured_mail_is_listed(pages: httpx.AsyncClient) -> None:
    page = await pages.get("/")
    assert page.status_code == 200
    assert "b@example.com, c@example.com" in page.text
    assert "&lt;script&gt;alert(1)" in page.text and "<script" not in page.text


async def test_html_of_a_mail_stands_in_a_sandbox_and_cannot_leave_it(pages: httpx.AsyncClient) -> None:
    """An attribute's value ends at its quote: every quote and angle bracket of the mail is escaped; no script may run anyway."""
    page = await pages.get("/mail/1")
    assert page.status_code == 200
    frame = page.text[page.text.index("<iframe") :]
    assert frame.startswith("<iframe sandbox ") and frame.count("</iframe>") == 1
    assert "&lt;p class=&quot;x&quot;&gt;Hello" in frame
    assert "<script" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "script-src" not in page.headers["content-security-policy"]
    assert (await pages.get("/mail/1/source")).content == MESSAGE


async def test_what_is_not_kept_is_not_found(pages: httpx.AsyncClient) -> None:
    assert (await pages.get("/mail/2")).status_code == 404
    assert (await pages.get("/mail/2/source")).status_code == 404


async def test_records_are_as_the_outside_sinks(pages: httpx.AsyncClient) -> None:
    """begin, end, recipient, octets: a line a hand-off."""
    size = len(MESSAGE)
    assert (await pages.get("/records")).text == f"1000\t2000\tb@example.com\t{size}\n1000\t2000\tc@example.com\t{size}\n"
