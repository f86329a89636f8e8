"""`postlaw law check`: names each case that differs, and says by its exit code what came of all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from libs.law.tests.law_cases import BY_ID, FILES
from postlaw_law.commands import law


def ran(*words: str) -> Result:
    return CliRunner().invoke(law, ["check", *words])


def written(tmp_path: Path, *vectors: Any, schema: str = "decision-vectors") -> str:
    path = tmp_path / "vectors.json"
    path.write_text(json.dumps({"schema": schema, "schema_version": 1, "vectors": vectors}), encoding="utf-8")
    return str(path)


def vector(of: str, **fields: Any) -> dict[str, Any]:
    return {**BY_ID[of]["vectors"][0], **fields}


def test_files_in_which_all_is_as_expected_exit_0() -> None:
    result = ran(*map(str, FILES))
    assert result.exit_code == 0
    assert f"{len(BY_ID)} as expected, 0 differ" in result.output


def test_a_case_that_differs_is_named_with_both_answers_and_exits_1(tmp_path: Path) -> None:
    wrong = vector("dv-020", expect={"allow": True, "reasons": [], "basis": {"CA": "implied_ebr_purchase"}})
    result = ran(written(tmp_path, vector("dv-001"), wrong))
    assert result.exit_code == 1
    assert "dv-020 differs in allow, basis, reasons" in result.output
    assert '"basis": {"CA": "implied_ebr_purchase"}' in result.output
    assert '"reasons": ["CA:ROUTE_EXPIRED"]' in result.output
    assert "dv-001" not in result.output


def test_one_that_differs_exits_1_whatever_else_cannot_be_read(tmp_path: Path) -> None:
    wrong = vector("dv-020", expect={"allow": True, "reasons": [], "basis": {"CA": "implied_ebr_purchase"}})
    result = ran(str(tmp_path / "absent.json"), written(tmp_path, wrong, vector("dv-001", colour="red")))
    assert "1 differ, 2 cannot be read" in result.output
    assert result.exit_code == 1


def test_an_expiry_that_is_not_expected_differs_and_one_in_another_zone_does_not(tmp_path: Path) -> None:
    expect = vector("dv-019")["expect"]
    without = vector("dv-019", id="a", expect={name: value for name, value in expect.items() if name != "expires_at"})
    elsewhere = vector("dv-019", id="b", expect={**expect, "expires_at": "2027-06-11T04:00:00Z"})
    result = ran(written(tmp_path, without, elsewhere))
    assert "a differs in expires_at" in result.output
    assert "1 as expected, 1 differ" in result.output


def test_a_clock_that_differs_is_named_too(tmp_path: Path) -> None:
    result = ran(written(tmp_path, vector("dc-001", expect={"last_day": "2026-06-16"}), schema="clock-vectors"))
    assert result.exit_code == 1
    assert '"last_day": "2026-06-15"' in result.output


EVENT = {"type": "purchase", "at": "2026-05-01T08:00:00Z"}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"now": "2026-06-15T16:00:00"}, "now: '2026-06-15T16:00:00' has no time zone"),
        ({"now": "yesterday"}, "now: 'yesterday' is no time"),
        ({"consent_events": [{**EVENT, "at": "2026-05-01"}]}, "consent_events[0].at: '2026-05-01' has no time zone"),
        ({"consent_events": [{**EVENT, "type": "sale"}]}, "consent_events[0].type: it is 'sale'"),
        ({"consent_events": [{**EVENT, "ip": "192.0.2.1"}]}, "consent_events[0].ip: unknown field"),
        ({"consent_events": [{**EVENT, "evidence": {"proof_ref": 7}}]}, "consent_events[0].evidence.proof_ref: it is 7"),
        ({"consent_events": [7]}, "consent_events[0]: it is 7, and must be an object"),
        ({"consent_events": {}}, "consent_events: it is {}, and must be a list"),
        ({"message": {"similar": "yes"}}, "message.similar: it is 'yes', and must be true or false"),
        ({"message": {"colour": "red"}}, "message.colour: unknown field"),
        ({"message": {"defects": ["no_logo"]}}, "message.defects: 'no_logo' is unknown"),
        ({"recipient_territories": ["us"]}, "recipient_territories: 'us' is no territory"),
        ({"recipient_territories": "US"}, "recipient_territories: it is 'US', and must be a list"),
        ({"tz": "Europe/Atlantis"}, "tz: 'Europe/Atlantis' is no time zone"),
        ({"sender": "US"}, "sender: unknown field"),
        ({"message_class": "newsletter"}, "message_class: it is 'newsletter'"),
        ({"expect": {}}, "expect: missing"),
        ({"expect": {"allow": 1}}, "expect.allow: it is 1, and must be true or false"),
        ({"expect": {"allow": False, "reasons": [{}, "NO_ROUTE"]}}, "expect.reasons: it is [{}, 'NO_ROUTE'], and must be a list of texts"),
        ({"expect": {"allow": True, "expires_at": "2026-06-15T00:00:00"}}, "expect.expires_at: '2026-06-15T00:00:00' has no time zone"),
        ({"now": "9999-12-31T00:00:00Z"}, "now: 9999-12-31 00:00:00+00:00 lies outside the years 1900 to 9000"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place_and_exits_2(tmp_path: Path, fields: dict[str, Any], says: str) -> None:
    result = ran(written(tmp_path, vector("dv-001", **fields), vector("dv-002")))
    assert result.exit_code == 2
    assert f"dv-001 cannot be read: {says}" in result.output
    assert "1 as expected" in result.output  # the others are answered all the same


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    whole = vector("dv-001")
    del whole["sender_territory"]
    assert "dv-001 cannot be read: sender_territory: missing" in ran(written(tmp_path, whole)).output


def test_a_clock_that_takes_no_facts_says_so(tmp_path: Path) -> None:
    result = ran(written(tmp_path, vector("dc-001", facts={"months": 6}), schema="clock-vectors"))
    assert "dc-001 cannot be read: facts.months: unknown field; there are none" in result.output


@pytest.mark.parametrize("id", ["", "a\nb", "\ud800"])
def test_an_id_that_cannot_be_shown_is_named_by_its_place_and_the_others_are_answered(tmp_path: Path, id: str) -> None:
    result = ran(written(tmp_path, vector("dv-001", id=id), vector("dv-002")))
    assert result.exit_code == 2
    assert f"vectors[0] cannot be read: id: it is {id!r}" in result.output
    assert "1 as expected" in result.output


def test_an_id_that_stands_twice_is_named(tmp_path: Path) -> None:
    result = ran(written(tmp_path, vector("dv-001"), vector("dv-001")))
    assert result.exit_code == 2
    assert "dv-001 stands twice" in result.output


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"schema": "other"}', '{"schema": "clock-vectors", "schema_version": 2, "vectors": []}', "[" * 100_000]
)
def test_a_file_that_is_none_of_vectors_exits_2(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text, encoding="utf-8")
    result = ran(str(path))
    assert result.exit_code == 2
    assert f"{path}: no file of vectors" in result.output


def test_a_file_that_is_not_there_exits_2(tmp_path: Path) -> None:
    assert ran(str(tmp_path / "absent.json")).exit_code == 2


def test_json_is_an_object_a_line(tmp_path: Path) -> None:
    wrong = vector("dv-002", expect={"allow": True, "reasons": [], "basis": {"US": "opt_out_regime"}})
    result = ran("--json", written(tmp_path, vector("dv-001"), wrong))
    rows = [json.loads(line) for line in result.output.splitlines()]
    assert [row.get("state") for row in rows] == ["passed", "differs", None]
    assert rows[1]["answer"]["reasons"] == ["US:FORM_NO_POSTAL_ADDRESS"]
    assert (rows[2]["passed"], rows[2]["differ"], rows[2]["unreadable"]) == (1, 1, 0)
    assert result.exit_code == 1


def test_help_shows_an_example() -> None:
    result = ran("--help")
    assert "postlaw law check decision-vectors.json" in result.output
