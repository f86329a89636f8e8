"""`/l/{link}/{token}` and `/o/{token}.gif`: where a link leads is sending's to say, and a pixel is always the same."""

from __future__ import annotations

from typing import Any

from postlaw_common.testing.promises import promise


@promise("M9")
async def test_a_link_leads_where_sending_says_and_nowhere_that_the_request_names(door: Any) -> None:
    door.sending.targets["good"] = "https://shop.example/a?b=1&c=2"
    sent = {"user-agent": "Firefox", "sec-purpose": "prefetch;prerender"}
    answer = await door.http.get("/l/7/good?url=https://evil.example", headers=sent)
    assert (answer.status_code, answer.headers["location"]) == (302, "https://shop.example/a?b=1&c=2")
    assert (answer.headers["cache-control"], answer.headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert (await door.http.head("/l/7/good")).status_code == 302
    [first, second] = door.sending.hits
    assert (first.link, first.user_agent, first.head, first.prefetch) == (7, "Firefox", False, True)
    assert (second.head, second.prefetch) == (True, False)


async def test_a_link_that_is_none_is_not_found_and_told_to_the_security_topic(door: Any) -> None:
    assert (await door.http.get("/l/7/bad")).status_code == (await door.http.get("/l/x/good")).status_code == 404
    assert [(event.kind, event.path) for event in await door.security_events(2)] == [("bad_token", "/l/{link}/{token}")] * 2


async def test_a_pixel_is_the_same_image_whatever_becomes_of_it(door: Any) -> None:
    door.sending.targets["good"] = ""
    seen = [await door.http.get(f"/o/{token}.gif") for token in ("good", "bad", "a%20b")]
    door.sending.away = True
    seen.append(await door.http.get("/o/good.gif"))
    assert {(answer.status_code, answer.headers["content-type"], answer.content[:6]) for answer in seen} == {(200, "image/gif", b"GIF89a")}
    assert (await door.http.get("/l/7/good")).status_code == 503
    assert (await door.http.post("/l/7/good")).status_code == 405
