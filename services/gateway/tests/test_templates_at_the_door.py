"""Templates as REST has them: who may write one may not approve it, and a campaign names an approved one or brings its own."""

from __future__ import annotations

from typing import Any

from postlaw_common.testing.promises import promise
from services.gateway.tests.played.sending import CAMPAIGN

ORDER = {"name": "Orders", "template_class": "transactional", "template": {"subject": "Your order", "text": "On its way."}}


@promise("M7")
async def test_whoever_may_write_a_template_may_not_approve_it(door: Any) -> None:
    writes, approves = door.key(scopes=("templates:write",)), door.key(scopes=("templates:approve",))
    made = await door.http.post("/v1/templates", json=ORDER, headers=writes)
    assert made.status_code == 201, made.text
    path = made.headers["location"]
    assert (path, made.json()["template_class"]) == ("/v1/templates/tpl_1/versions/1", "transactional")
    assert (await door.http.post(f"{path}/approve", headers=writes)).status_code == 403
    assert (await door.http.post("/v1/templates", json=ORDER, headers=approves)).status_code == 403
    assert (await door.http.post(f"{path}/approve", headers=approves)).json()["status"] == "approved"


async def test_a_template_without_a_class_is_refused(door: Any) -> None:
    refused = await door.http.post("/v1/templates", json={**ORDER, "template_class": None})
    assert (refused.status_code, [one["field"] for one in refused.json()["fields"]]) == (400, ["template_class"])


async def test_a_campaign_names_a_templates_version_in_place_of_words_of_its_own(door: Any) -> None:
    named = {**CAMPAIGN, "template": None, "template_id": "tpl_1", "template_version": 1}
    made = await door.http.post("/v1/campaigns", json=named)
    assert made.status_code == 201, made.text
    assert (made.json()["template_id"], made.json()["template_version"]) == ("tpl_1", 1)
