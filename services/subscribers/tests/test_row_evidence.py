"""What a row's cells say of its consent: names of territories, grades, times; and what many rows share."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlaw_law.loading import the_law
from postlaw_subscribers.domain.import_job import Attestation
from postlaw_subscribers.domain.row_evidence import Variant, Variants, instant_of
from postlaw_subscribers.domain.sameness import FEW, KEPT, Tally
from postlaw_subscribers.domain.territories import is_territory, territory_of
from tools.territory_names import TABLE, made, text_of

NOON = 1_700_000_000_000_000


def test_the_table_of_names_is_what_cldr_has_today() -> None:
    assert TABLE.read_text(encoding="utf-8") == text_of(made())


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("DE", "DE"), ("de", "DE"), (" Germany ", "DE"), ("Deutschland", "DE"), ("ÖSTERREICH", "AT"), ("O\u0308sterreich", "AT"),
        ("UK", "GB"), ("Great  Britain", "GB"), ("USA", "US"), ("United States of America", "US"), ("Ελλάδα", "GR"), ("EL", "GR"),
        ("España", "ES"), ("Frankreich", "FR"), ("Åland Islands", "AX"), ("Côte d’Ivoire", "CI"), ("Kosovo", "XK"),
        ("Kongo", ""), ("EU", ""), ("ZZ", ""), ("XA", ""), ("Atlantis", ""), ("D", ""), ("", ""), ("DE, FR", ""),
    ],
)  # fmt: skip
def test_a_territory_is_known_by_its_code_or_by_a_name_of_it_alone(cell: str, code: str) -> None:
    assert territory_of(cell) == code


def test_every_territory_whose_law_we_know_has_its_code() -> None:
    assert all(map(is_territory, the_law().regime_of.keys() - {"ZZ"}))
    assert not any(map(is_territory, ("de", "Germany", "ZZ", "UK", "EU")))


def test_rows_that_say_the_same_are_one_variant_and_an_empty_cell_says_what_is_attested() -> None:
    variants = Variants(("GB",))
    rows = [("", ""), ("GB", "attested"), ("Germany", ""), ("de", "ATTESTED"), ("FR", "captured"), ("DE", "none")]
    assert [variants.of(*row) for row in rows] == [(0, ()), (0, ()), (1, ()), (1, ()), (2, ()), (3, ())]
    assert variants.all == [
        Variant(("GB",), "attested"), Variant(("DE",), "attested"), Variant(("FR",), "captured"), Variant(("DE",), "none")
    ]  # fmt: skip


def test_what_is_not_understood_is_taken_for_the_strictest_and_for_no_evidence() -> None:
    variants = Variants(("GB",))
    place, warnings = variants.of("Atlantis", "certainly")
    assert variants.all[place] == Variant(("ZZ",), "none")
    assert warnings == ("unknown_territory", "unknown_grade")
    assert variants.of("Atlantis", "certainly") == (place, warnings)


@given(st.lists(st.tuples(st.sampled_from(["", "x", "FR", *made()]), st.sampled_from(["", "none", "captured", "attested", "?"]))))
def test_the_variants_of_any_rows_fit_into_one_call(rows: list[tuple[str, str]]) -> None:
    variants = Variants(())
    for row in rows:
        variants.of(*row)
    assert len(variants.all) == len(set(variants.all)) <= 1000


@pytest.mark.parametrize(
    ("cell", "at_us", "warning"),
    [
        ("2023-11-14T22:13:20Z", NOON, ""),
        ("2023-11-14 23:13:20+01:00", NOON, ""),
        ("2023-11-14T22:13:20", 0, "time_without_zone"),
        ("2023-11-14", 0, "time_without_zone"),
        ("2023-11-14T22:19:20Z", 0, "time_in_future"),
        ("2023-02-29T00:00:00Z", 0, "unreadable_time"),
        ("14.11.2023", 0, "unreadable_time"),
        ("1970-01-01T00:00:00.000001Z", 1, ""),
        ("1970-01-01T00:00:00Z", 0, "time_before_1970"),
        ("0001-01-01T00:00:00+14:00", 0, "time_before_1970"),
    ],
)
def test_a_time_is_read_exactly_or_not_at_all(cell: str, at_us: int, warning: str) -> None:
    assert instant_of(cell, NOON) == (at_us, warning)


@given(st.lists(st.lists(st.integers(0, 400).map(str) | st.just("same"), max_size=300), max_size=8))
def test_a_tally_never_counts_too_many_and_hardly_too_few(batches: list[list[str]]) -> None:
    tally, exact = Tally(), Counter[str]()
    for batch in batches:
        tally, exact = tally.plus(batch), exact + Counter(batch)
    assert tally.rows == exact.total()
    assert len(tally.counts) <= KEPT
    for value, count in exact.items():
        assert count - tally.rows / (KEPT + 1) <= tally.counts.get(value, 0) <= count


def test_a_few_rows_alike_say_nothing_and_many_do() -> None:
    assert Tally().plus(["a"] * (FEW - 1)).frequent() == []
    assert Tally().plus(["a"] * FEW + ["b"] * 50).frequent() == [50, FEW]
    others = [str(i) for i in range(100 * FEW)]
    assert Tally().plus(["a"] * FEW).plus(others).frequent() == []
    assert Tally().plus(["a"] * 60).plus(others).frequent() == [59], "too low by one: more values than are kept"


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"held": ("affirmative_act", "proof_ref")}, "held"),
        ({"held": ("wording_version",)}, "held"),
        ({"held": ("pinky_promise",)}, "held"),
        ({"territories": ("GB", "UK")}, "territories"),
        ({"territories": ("Germany",)}, "territories"),
        ({"relationship": "friendship", "collected_us": NOON}, "relationship"),
        ({"relationship": "express_consent", "collected_us": NOON}, "relationship"),
        ({"relationship": "purchase"}, "collected_at"),
        ({"language": "de_DE"}, "language"),
    ],
)
def test_an_attestation_in_words_that_the_law_does_not_know_is_named(told: dict[str, Any], field: str) -> None:
    assert [name for name, _ in Attestation("shop", "", "Ann", **told).problems()] == [field]
