"""`/v1/audit/log/…`: files of the audit log, with the headers that fit what each of them is."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("path", "type", "kept"),
    [
        ("checkpoint", "text/plain; charset=utf-8", "no-cache"),
        ("tile/0/000", "application/octet-stream", "public, max-age=31536000, immutable"),
        ("tile/entries/x001/234", "application/octet-stream", "public, max-age=31536000, immutable"),
        ("tile/1/000.p/17", "application/octet-stream", "public, max-age=60"),
    ],
)
async def test_a_file_of_the_log_is_open_to_everyone_and_may_be_kept_for_as_long_as_it_stays_the_same(
    door: Any, path: str, type: str, kept: str
) -> None:
    answer = await door.http.get(f"/v1/audit/log/{path}", headers={"authorization": ""})
    assert (answer.status_code, answer.content) == (200, b"first, second of " + path.encode())
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == (type, kept)
    head = await door.http.head(f"/v1/audit/log/{path}")
    assert (head.status_code, head.content, head.headers["cache-control"]) == (200, b"", kept)


async def test_a_file_that_is_not_there_is_kept_by_nobody(door: Any) -> None:
    answer = await door.http.get("/v1/audit/log/gone")
    assert (answer.status_code, answer.headers["cache-control"], answer.json()["status"]) == (404, "no-store", 404)
    assert (await door.http.post("/v1/audit/log/checkpoint")).status_code == 405
