"""`/u/{token}`: the page that changes nothing, and the stop by RFC 8058."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from postlaw.consent.v1 import consent_pb2
from postlaw_common.errors import Unavailable
from postlaw_common.testing.promises import promise
from services.gateway.tests.played.identity import TENANT

ONE_CLICK = "List-Unsubscribe=One-Click"
FORM = {"content-type": "application/x-www-form-urlencoded"}
_VOID = {"meta", "link", "br", "input", "hr"}


class _Outline(HTMLParser):
    """Notes tags and attributes, and that every element is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def outline(page: str) -> _Outline:
    found = _Outline()
    found.feed(page)
    assert found.open == []
    return found


@promise("G2")
async def test_opening_the_link_changes_nothing(door: Any) -> None:
    for verb in ("GET", "HEAD", "GET"):
        answer = await door.http.request(verb, "/u/good")
        assert answer.status_code == 200
    assert door.consent.described == 3
    assert door.consent.withdrawn == []


async def test_the_page_needs_no_script_no_cookie_and_nothing_from_elsewhere(door: Any) -> None:
    answer = await door.http.get("/u/good")
    found = outline(answer.text)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "set-cookie" not in answer.headers
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-robots-tag"] == "noindex, nofollow"  # a link that was posted somewhere must not be found by searching
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "strict-transport-security" in answer.headers
    tags = [tag for tag, _ in found.tags]
    assert not {"script", "link", "img", "iframe"} & set(tags)
    assert tags.count("h1") == 1 and tags.count("main") == 1
    assert ("html", {"lang": "en"}) in found.tags
    assert any(tag == "meta" and attributes.get("name") == "viewport" for tag, attributes in found.tags)


async def test_the_page_says_what_will_stop_and_offers_two_buttons(door: Any) -> None:
    answer = await door.http.get("/u/good")
    found = outline(answer.text)
    assert "Möbel &lt;Maier&gt;" in answer.text
    buttons = [attributes for tag, attributes in found.tags if tag == "button"]
    assert [(button["name"], button["value"]) for button in buttons] == [("stop", "this"), ("stop", "everything")]
    assert [attributes for tag, attributes in found.tags if tag == "form"] == [{"method": "post"}]


async def test_the_page_says_so_when_it_was_stopped_before(door: Any) -> None:
    assert "You have stopped this already" in (await door.http.get("/u/stopped-before")).text


@promise("G2")
@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (FORM, ONE_CLICK),
        ({"content-type": "application/x-www-form-urlencoded; charset=UTF-8"}, ONE_CLICK + "\r\n"),
        ({"content-type": "multipart/form-data; boundary=b"},
         '--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n'),
        ({}, ONE_CLICK),
        (FORM, "list-unsubscribe=one-click&x=1"),
    ],
)  # fmt: skip
async def test_one_click_stops_and_answers_with_the_receipt(door: Any, headers: dict[str, str], body: str) -> None:
    answer = await door.http.post("/u/good", content=body, headers={**headers, "authorization": ""})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert "set-cookie" not in answer.headers
    receipt = answer.json()
    assert (receipt["event_id"], receipt["outcome"], receipt["withdrawn_at"]) == ("evt_1", "stopped", "2026-03-01T12:00:00.250Z")
    assert [request.route for request in door.consent.withdrawn] == [consent_pb2.ROUTE_ONE_CLICK]
    assert door.consent.had_context == [False]


async def test_pressing_twice_is_as_good_as_once(door: Any) -> None:
    first = (await door.http.post("/u/good", content=ONE_CLICK, headers=FORM)).json()
    second = (await door.http.post("/u/good", content=ONE_CLICK, headers=FORM)).json()
    assert (first["event_id"], first["already_withdrawn"]) == ("evt_1", False)
    assert (second["event_id"], second["already_withdrawn"]) == ("evt_1", True)


@pytest.mark.parametrize(("pressed", "everything"), [("this", False), ("everything", True)])
async def test_the_pages_buttons_stop_and_answer_with_a_page(door: Any, pressed: str, everything: bool) -> None:
    answer = await door.http.post("/u/good", data={"stop": pressed}, headers={"accept": "text/html,*/*"})
    assert answer.status_code == 200
    outline(answer.text)
    assert "evt_1" in answer.text and "1 March 2026, 12:00:00 UTC" in answer.text and "The mail has stopped." in answer.text
    request = door.consent.withdrawn[0]
    assert (request.route, request.everything) == (consent_pb2.ROUTE_PAGE, everything)


@promise("G2")
async def test_recorded_is_said_honestly(door: Any) -> None:
    door.consent.outcome = consent_pb2.OUTCOME_RECORDED
    page = await door.http.post("/u/good", data={"stop": "this"})
    assert "Done. One message already on its way may still arrive." in page.text
    assert "has stopped" not in page.text
    assert (await door.http.post("/u/good", content=ONE_CLICK, headers=FORM)).json()["outcome"] == "recorded"


@promise("M6")
async def test_what_a_relay_may_still_hold_is_said_with_the_number_and_the_end(door: Any) -> None:
    """Design §3: our reach ends where the next server has taken the message."""
    door.consent.relay_may_hold = 2
    page = await door.http.post("/u/good", data={"stop": "this"})
    assert "Messages that left before and may still arrive, until 2 March 2026, 12:00:00 UTC: 2 at most." in page.text
    said = (await door.http.post("/u/good", content=ONE_CLICK, headers=FORM)).json()
    assert (said["relay_may_hold"], said["relay_until"]) == (2, "2026-03-02T12:00:00Z")
    door.consent.relay_may_hold = 0
    assert "may still arrive" not in (await door.http.post("/u/good", data={"stop": "this"})).text


async def test_accept_chooses_between_receipt_and_page(door: Any) -> None:
    as_page = await door.http.post("/u/good", content=ONE_CLICK, headers={**FORM, "accept": "text/html"})
    as_json = await door.http.post("/u/good", data={"stop": "this"}, headers={"accept": "application/json"})
    assert as_page.headers["content-type"].startswith("text/html")
    assert as_json.headers["content-type"] == "application/json"


@pytest.mark.parametrize("token", ["goo", "good2", "GOOD", "x" * 601, "a b", "%00", "good/", "..%2F..", "", "é"])
async def test_every_wrong_token_gets_the_same_answer(door: Any, token: str) -> None:
    page = await door.http.get(f"/u/{token}")
    assert page.status_code == 404
    answer = await door.http.post(f"/u/{token}", content=ONE_CLICK, headers=FORM)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "This link does not work. It may have been cut off."
    assert (await door.http.get("/u/another")).content == page.content
    assert door.consent.withdrawn == []


@promise("S3")
async def test_a_wrong_token_is_told_to_the_security_topic_without_the_token(door: Any) -> None:
    await door.http.post("/u/forged", content=ONE_CLICK, headers=FORM)
    (event,) = await door.security_events(1)
    assert (event.kind, event.method, event.path, event.object_id, event.tenant_id) == ("bad_token", "POST", "/u/{token}", "", "")


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"content-type": "application/json"}, b'{"List-Unsubscribe":"One-Click"}', 415),
        ({"content-type": "text/plain"}, ONE_CLICK.encode(), 415),
        (FORM, b"", 400),
        (FORM, b"List-Unsubscribe=No", 400),
        (FORM, b"stop=perhaps", 400),
        (FORM, b"\xff\xfe", 400),
        (FORM, b"a=1&" * 30, 400),
        ({"content-type": "multipart/form-data"}, b"--b", 400),
        ({"content-type": "multipart/form-data; boundary=b"}, b"nothing of the kind", 400),
        (FORM, b"x" * 8193, 413),
    ],
)
async def test_what_is_no_opt_out_changes_nothing(door: Any, headers: dict[str, str], body: bytes, status: int) -> None:
    answer = await door.http.post("/u/good", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.json()["status"] == status
    assert door.consent.withdrawn == []


async def test_an_oversized_body_is_refused_also_when_its_length_is_not_announced(door: Any) -> None:
    drawn = 0

    async def body() -> Any:
        nonlocal drawn
        for _ in range(1000):
            drawn += 1
            yield b"x" * 1000

    assert (await door.http.post("/u/good", content=body(), headers=FORM)).status_code == 413
    assert drawn < 12


@pytest.mark.parametrize("verb", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_verbs_are_not_answered(door: Any, verb: str) -> None:
    answer = await door.http.request(verb, "/u/good")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert "access-control-allow-origin" not in answer.headers


@promise("G2")
async def test_opt_outs_are_answered_while_identity_cannot_be(door: Any) -> None:
    door.identity.down = True
    page = await door.http.get("/u/good")
    assert page.status_code == 200 and "this sender" in page.text
    assert (await door.http.post("/u/good", content=ONE_CLICK, headers=FORM)).json()["outcome"] == "stopped"


async def test_a_ledger_that_is_away_is_no_success(door: Any) -> None:
    door.consent.away = True
    answer = await door.http.post("/u/good", content=ONE_CLICK, headers=FORM)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert (await door.http.get("/u/good")).status_code == 503


async def test_the_page_names_the_list_and_the_sender_and_escapes_both(door: Any) -> None:
    neutral = await door.http.get("/u/good")
    assert "on this mailing list from" in neutral.text
    door.consent.list_name = '<b>News</b> & "more"'
    for answer in (await door.http.get("/u/good"), await door.http.post("/u/good", data={"stop": "this"})):
        outline(answer.text)
        assert "on the mailing list “<bdi>&lt;b&gt;News&lt;/b&gt; &amp; &quot;more&quot;</bdi>”" in answer.text
        assert "<b>" not in answer.text
        assert "<bdi>Möbel &lt;Maier&gt;</bdi>, <bdi>1 High St</bdi>" in answer.text


async def test_after_stopping_one_list_a_person_can_go_on_to_stop_everything(door: Any) -> None:
    stopped = outline((await door.http.post("/u/good", data={"stop": "this"})).text)
    assert [tag["value"] for name, tag in stopped.tags if name == "button"] == ["everything"]
    everything = outline((await door.http.post("/u/good", data={"stop": "everything"})).text)
    assert not [tag for name, tag in everything.tags if name == "button"]


@promise("G2")
async def test_who_has_stopped_hears_so_also_when_names_cannot_be_had(door: Any) -> None:
    door.identity.down = True

    async def away(*_: Any) -> Any:
        raise Unavailable("The ledger cannot be read now.")

    door.consent.DescribeToken = away
    answer = await door.http.post("/u/good", data={"stop": "this"})
    assert answer.status_code == 200
    assert "The mail has stopped." in answer.text and "this mail" in answer.text and "this sender" in answer.text


@promise("M4", "M5")
async def test_both_pages_say_whose_mail_for_which_address_what_stops_and_what_still_comes(door: Any) -> None:
    door.consent.list_name = "News"
    for answer in (await door.http.get("/u/good"), await door.http.post("/u/good", data={"stop": "this"})):
        assert "j•••@e•••.com" in answer.text
        assert "<bdi>1 High St</bdi>" in answer.text
        assert "mail on the mailing list “<bdi>News</bdi>” from <bdi>Möbel" in answer.text
        assert "Receipts and messages about your account may still come" in answer.text
        assert "that you have not stopped" in answer.text
    everything = await door.http.post("/u/good", data={"stop": "everything"})
    assert "Receipts and messages about your account may still come" in everything.text
    assert "that you have not stopped" not in everything.text
    assert {(asked.tenant_id, asked.address_key) for asked in door.subscribers.masked_asked} == {(TENANT, b"\1" * 33)}


@promise("M5")
async def test_the_pages_work_where_the_address_is_not_to_be_had(door: Any) -> None:
    door.subscribers.masked = ""  # erased
    pages = [await door.http.get("/u/good"), await door.http.post("/u/good", data={"stop": "this"})]
    door.subscribers.refuses = Unavailable("Subscribers are away.")
    pages += [await door.http.get("/u/good"), await door.http.post("/u/good", data={"stop": "this"})]
    for answer in pages:
        assert answer.status_code == 200
        outline(answer.text)
        assert "Address</dt>" not in answer.text
        assert "What will still come" in answer.text


@promise("G2")
async def test_one_click_asks_nobody_for_an_address(door: Any) -> None:
    await door.http.post("/u/good", content=ONE_CLICK, headers=FORM)
    assert door.subscribers.masked_asked == []
