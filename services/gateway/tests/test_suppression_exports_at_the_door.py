"""Taking the suppression list out, as REST has it: two keys, and a download that only a POST begins."""

from __future__ import annotations

from typing import Any

from postlaw_common.testing.promises import promise

EXPORTS = "/v1/suppression-exports"


@promise("M6")
async def test_whoever_may_ask_may_not_approve_and_the_other_way_round(door: Any) -> None:
    asks, approves = door.key(scopes=("suppressions:export",)), door.key(scopes=("suppressions:approve",))
    asked = await door.http.post(EXPORTS, json={"purpose": "the authority asks"}, headers=asks)
    assert (asked.status_code, asked.headers["location"]) == (201, f"{EXPORTS}/sxp_1"), asked.text
    assert (await door.http.post(f"{EXPORTS}/sxp_1/approve", headers=asks)).status_code == 403
    assert (await door.http.post(f"{EXPORTS}/sxp_1/approve", headers=approves)).status_code == 200
    for path in (EXPORTS, f"{EXPORTS}/sxp_1/csv"):
        assert (await door.http.post(path, json={"purpose": "x"} if path == EXPORTS else None, headers=approves)).status_code == 403
    assert door.consent.exports_taken == 0


async def test_an_export_without_a_purpose_is_refused(door: Any) -> None:
    refused = await door.http.post(EXPORTS, json={})
    assert (refused.status_code, [one["field"] for one in refused.json()["fields"]]) == (400, ["purpose"])


@promise("M6")
async def test_the_list_is_a_csv_that_no_repeated_get_or_head_can_use_up(door: Any) -> None:
    for verb in ("GET", "HEAD"):
        assert (await door.http.request(verb, f"{EXPORTS}/sxp_1/csv")).status_code == 405
    assert door.consent.exports_taken == 0
    answer = await door.http.post(f"{EXPORTS}/sxp_1/csv")
    assert (answer.status_code, answer.text) == (200, "address,address_key\r\nann@example.com,00\r\n")
    assert answer.headers["content-disposition"] == 'attachment; filename="suppressions.csv"'
    assert door.consent.exports_taken == 1
