"""CSV through the door: streamed, in either encoding, and never taken for whole when it was not."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from postlaw_gateway.openapi import document

CSV = b"\xef\xbb\xbfemail,name\r\na@b.example,Ann\r\n"
AS_CSV = {"content-type": "text/csv"}


def form(*parts: tuple[str, bytes], filename: bool = True, end: bool = True) -> tuple[bytes, dict[str, str]]:
    body = b""
    for name, value in parts:
        more = b'; filename="people.csv"\r\nContent-Type: text/csv' if name == "file" and filename else b""
        body += b'--b0\r\nContent-Disposition: form-data; name="' + name.encode() + b'"' + more + b"\r\n\r\n" + value + b"\r\n"
    return body + (b"--b0--\r\n" if end else b""), {"content-type": "multipart/form-data; boundary=b0"}


async def test_a_csv_body_with_its_settings_in_the_query(door: Any) -> None:
    query = {"list_id": "lst_1", "filename": "x.csv", "consent.source": "shop", "consent.attested_by": "Ann",
             "consent.collected_at": "2026-01-02T03:04:05Z"}  # fmt: skip
    answer = await door.http.post("/v1/imports", params=query, content=CSV, headers={"content-type": "text/csv; charset=utf-8"})
    assert answer.status_code == 202, answer.text
    assert answer.json()["state"] == "queued"
    assert answer.headers["location"] == f"/v1/imports/{answer.json()['import_id']}"
    assert door.subscribers.uploads == [CSV]
    (settings,) = door.subscribers.settings
    assert (settings.list_id, settings.filename, settings.encoding, settings.consent.source) == ("lst_1", "x.csv", "utf-8", "shop")
    assert settings.consent.collected_at.seconds == 1767323045


async def test_a_suppression_list_says_whose_it_is_and_names_no_list(door: Any) -> None:
    headers = {"content-type": "text/csv"}
    answer = await door.http.post("/v1/imports", params={"suppress.source": "the old provider"}, content=CSV, headers=headers)
    assert answer.status_code == 202, answer.text
    (settings,) = door.subscribers.settings
    assert (settings.list_id, settings.suppress.source, settings.HasField("consent")) == ("", "the old provider", False)


@pytest.mark.parametrize(
    "parts",
    [
        [
            ("list_id", b"lst_1"),
            ("consent.source", b"shop"),
            ("consent.attested_by", b"Ann"),
            ("consent.held", b"purpose, separate"),
            ("file", CSV),
        ],
        [
            ("settings", b'{"list_id":"lst_1","consent":{"source":"shop","attested_by":"Ann","held":["purpose","separate"]}}'),
            ("file", CSV),
        ],
    ],
)
async def test_a_form_with_its_settings_before_the_file(door: Any, parts: list[tuple[str, bytes]]) -> None:
    body, headers = form(*parts)
    answer = await door.http.post("/v1/imports", content=body, headers=headers)
    assert answer.status_code == 202, answer.text
    assert door.subscribers.uploads == [CSV]
    (settings,) = door.subscribers.settings
    assert (settings.list_id, settings.filename, settings.consent.source) == ("lst_1", "people.csv", "shop")
    assert list(settings.consent.held) == ["purpose", "separate"]


async def test_a_browsers_form_cut_anywhere_is_the_same_form(door: Any) -> None:
    body, headers = form(("list_id", b"lst_1"), ("file", CSV * 50))
    for size in (1, 7, 64):

        async def pieces(size: int = size) -> Any:
            for start in range(0, len(body), size):
                yield body[start : start + size]

        assert (await door.http.post("/v1/imports", content=pieces(), headers=headers)).status_code == 202
    assert door.subscribers.uploads == [CSV * 50] * 3


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (*form(("list_id", b"lst_1")), 400),  # no file
        (*form(("file", CSV), ("list_id", b"lst_1")), 400),  # settings too late
        (*form(("list_id", b"lst_1"), ("file", CSV), end=False), 400),  # broken off
        (*form(("list_id", b"lst_1"), ("colour", b"red"), ("file", CSV)), 400),
        (*form(("list_id", b"lst_1"), ("list_id", b"lst_2"), ("file", CSV)), 400),
        (*form(("settings", b"[]"), ("file", CSV)), 400),
        (*form(("list_id", b"x" * 70_000), ("file", CSV)), 413),
        (*form(("list_id", b"lst_gone"), ("file", CSV)), 404),
        (b"nothing", {"content-type": "multipart/form-data; boundary=b0"}, 400),
        (b"nothing", {"content-type": "multipart/form-data"}, 400),
        (CSV, {"content-type": "application/json"}, 415),
        (CSV, AS_CSV, 400),  # no list_id
    ],
)
async def test_what_is_no_import_imports_nothing(door: Any, body: bytes, headers: dict[str, str], status: int) -> None:
    answer = await door.http.post("/v1/imports", content=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert door.subscribers.uploads == []


async def test_a_list_in_the_query_has_commas_between_its_items(door: Any) -> None:
    query = "list_id=lst_1&consent.source=shop&consent.attested_by=Ann&consent.held=affirmative_act,purpose&consent.territories="
    answer = await door.http.post(f"/v1/imports?{query}", content=CSV, headers=AS_CSV)
    assert answer.status_code == 202, answer.text
    (settings,) = door.subscribers.settings
    assert list(settings.consent.held) == ["affirmative_act", "purpose"]
    assert list(settings.consent.territories) == []
    parameters = {each["name"]: each for each in document("https://mail.example")["paths"]["/v1/imports"]["post"]["parameters"]}
    assert (parameters["consent.held"]["style"], parameters["consent.held"]["explode"]) == ("form", False)
    assert "explode" not in parameters["consent.source"]


async def test_settings_lacking_in_the_consent_are_named(door: Any) -> None:
    answer = await door.http.post("/v1/imports?list_id=lst_1&consent.source=shop&encodin=x", content=CSV, headers=AS_CSV)
    assert {field["field"] for field in answer.json()["fields"]} == {"encodin"}
    answer = await door.http.post("/v1/imports?list_id=lst_1&consent.source=shop", content=CSV, headers=AS_CSV)
    assert {field["field"] for field in answer.json()["fields"]} == {"consent.attested_by"}


async def test_half_a_file_is_never_taken_for_the_whole(door: Any) -> None:
    app = door.mesh.running.services["gateway"].http_app
    messages = iter([{"type": "http.request", "body": CSV, "more_body": True}, {"type": "http.disconnect"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"text/csv"), (b"authorization", f"Bearer {door.secret}".encode())]
    scope = {
        "type": "http", "method": "POST", "path": "/v1/imports", "raw_path": b"/v1/imports", "query_string": b"list_id=lst_1",
        "headers": headers, "http_version": "1.1", "scheme": "http", "server": ("x", 80), "client": ("127.0.0.1", 1), "root_path": "",
    }  # fmt: skip
    await app(scope, receive, send)
    assert sent == []
    assert door.subscribers.uploads == []


async def test_memory_stays_the_same_however_large_the_file(door: Any) -> None:
    piece = b"a@b.example,Ann\r\n" * 4000

    async def body(count: int) -> Any:
        for _ in range(count):
            yield piece

    async def upload(count: int) -> int:
        tracemalloc.start()
        answer = await door.http.post("/v1/imports?list_id=lst_1", content=body(count), headers=AS_CSV)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert answer.status_code == 202
        return peak - len(door.subscribers.uploads.pop()) * 2  # the fake keeps it, and copies it once

    small, large = await upload(20), await upload(400)
    assert large - small < 8_000_000
    assert door.subscribers.largest_chunk <= 256 * 1024


async def test_a_large_piece_goes_on_in_small_ones(door: Any) -> None:
    await door.http.post("/v1/imports?list_id=lst_1", content=b"x" * 1_000_000, headers=AS_CSV)
    assert door.subscribers.uploads == [b"x" * 1_000_000]
    assert door.subscribers.largest_chunk == 256 * 1024


async def test_an_upload_with_an_idempotency_key_imports_once(door: Any) -> None:
    once = {**AS_CSV, "idempotency-key": "import-1"}
    first = await door.http.post("/v1/imports?list_id=lst_1", content=CSV, headers=once)
    again = await door.http.post("/v1/imports?list_id=lst_1", content=CSV, headers=once)
    assert again.json() == first.json() and again.headers["idempotency-replayed"] == "true"
    other = await door.http.post("/v1/imports?list_id=lst_1", content=CSV + b"more", headers=once)
    assert other.status_code == 422
    assert len(door.subscribers.uploads) == 1


async def test_the_refused_rows_come_as_csv(door: Any) -> None:
    answer = await door.http.get("/v1/imports/imp_1/errors")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.text == "row,reason\r\n2,not an address\r\n"
    assert (await door.http.get("/v1/imports/imp_gone/errors")).status_code == 404


async def test_a_report_that_breaks_off_does_not_look_whole(door: Any) -> None:
    app = door.mesh.running.services["gateway"].http_app
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": "/v1/imports/imp_breaks/errors", "raw_path": b"", "query_string": b"",
        "headers": [(b"authorization", f"Bearer {door.secret}".encode())], "http_version": "1.1", "scheme": "http",
        "server": ("x", 80), "client": ("127.0.0.1", 1), "root_path": "",
    }  # fmt: skip
    with pytest.raises(ConnectionError):
        await app(scope, receive, send)
    assert sent[0]["status"] == 200
    assert all(message.get("more_body") for message in sent[1:])
