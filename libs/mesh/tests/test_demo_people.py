"""The demo's people, and how it tells why some of them were refused."""

from __future__ import annotations

import csv
import io

from postlaw_mesh.demo.journey import why_refused
from postlaw_mesh.demo.people import COUNTRIES, people_csv
from postlaw_subscribers.domain.territories import territory_of


def test_the_demos_countries_are_those_of_many_laws() -> None:
    assert {territory_of(name) for name in COUNTRIES if name} >= {"DE", "FR", "AT", "GB", "US", "CA", "AU"}
    assert all(territory_of(name) for name in COUNTRIES if name)


def test_everybody_may_be_mailed_or_has_nothing_to_show() -> None:
    file, mailable, unshown = people_csv(2_000)
    assert len({*mailable, *unshown}) == len(mailable) + len(unshown) == 2_000
    rows = list(csv.DictReader(io.StringIO(file.decode("utf-8-sig"), newline="")))
    assert 0 < len(unshown) < 0.01 * 2_000
    assert {row["Email"] for row in rows if row["evidence"] == "none"} == set(unshown)


def test_reasons_are_told_in_a_few_words_and_add_up() -> None:
    reasons = {"SUPPRESSED_TOPIC": 3, "withdrawn_before_hand_off": 1, "CA:EVIDENCE_MISSING,UK:EVIDENCE_MISSING": "2", "CA:NO_ROUTE": 1}
    assert why_refused(reasons) == {"they said stop": 4, "no evidence of consent": 2, "other reasons": 1}
