"""A law that does not hold together is refused, with file and line, what is wrong, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from postlaw_law.loading import REGIMES, law_of, load_law, the_law
from postlaw_law.reading import LawRefused

TEXTS = {path.name: path.read_text(encoding="utf-8") for path in REGIMES.glob("*.toml")}


def line_of(file: str, words: str) -> int:
    """The line of the first of a file's lines that begins so."""
    return next(n for n, line in enumerate(TEXTS[file].splitlines(), 1) if line.startswith(words))


def changed(file: str, old: str, new: str, count: int = 1) -> dict[str, str]:
    assert old in TEXTS[file]
    return {**TEXTS, file: TEXTS[file].replace(old, new, count)}


def refused(texts: dict[str, str], known_cases: set[str] | None = None) -> LawRefused:
    with pytest.raises(LawRefused) as caught:
        law_of(texts, known_cases)
    return caught.value


SALE = 'events = ["purchase"]'
ROLE = 'message = "relevant_to_role"'
V1_ENDS = "effective_to = 2026-04-13"
V2_BEGINS = "effective_from = 2026-04-14"


@pytest.mark.parametrize(
    ("file", "old", "new", "line", "says"),
    [
        ("eu-fr.toml", V1_ENDS, "effective_to = 2026-04-12", ("eu-fr.toml", V2_BEGINS), "gap: rule fr-tracking ends on 2026-04-12"),
        ("eu-fr.toml", V1_ENDS, "effective_to = 2026-04-14", ("eu-fr.toml", V2_BEGINS), "let that one end on 2026-04-13"),
        ("eu-fr.toml", V1_ENDS + "\n", "\n", ("eu-fr.toml", V2_BEGINS), "overlap: rule fr-tracking from 2026-04-14 on"),
        ("eu-fr.toml", V1_ENDS, "effective_to = 2017-01-01", ("eu-fr.toml", V1_ENDS), "before it begins"),
        ("us.toml", "business_days = 10", "busy_days = 10", ("us.toml", "business_days"), "busy_days is no parameter of"),
        ("us.toml", "business_days = 10", 'business_days = "10"', ("us.toml", "business_days"), "must be a whole number"),
        ("us.toml", "business_days = 10", "business_days = true", ("us.toml", "business_days"), "must be a whole number"),
        ("us.toml", "business_days = 10", "business_days = -1", ("us.toml", "business_days"), "not negative"),
        ("ca.toml", ROLE, 'message = "relevant"', ("ca.toml", ROLE), "must be one of 'similar'"),
        ("ca.toml", ROLE, 'message = "own_goods"', ("ca.toml", ROLE), "no route asks for own_goods"),
        ("ca.toml", SALE, 'events = ["sale"]', ("ca.toml", SALE), "must be a list"),
        ("ca.toml", SALE, 'events = ["inquiry"]', ("ca.toml", 'events = ["inquiry"]'), "overlap: inquiry is an event of rule"),
        ("ca.toml", 'kind = "route"', 'kind = "root"', ("ca.toml", 'kind = "route"'), "kind 'root' is unknown"),
        ("us.toml", 'section = "16 CFR 316.5"', 'section = ""', ("us.toml", 'section = "16 CFR 316.5"'), "section is empty"),
        ("au.toml", 'territories = ["AU"]', 'territories = ["Australia"]', ("au.toml", "territories"), "ISO 3166-1"),
        ("au.toml", 'territories = ["AU"]', 'territories = ["US"]', ("us.toml", "territories"), "US is a territory of AU too"),
        ("au.toml", 'regime = "AU"', 'regime = "CA"', ("ca.toml", "regime"), "au.toml is regime CA too"),
        ("eu-de.toml", 'extends = "EU"', 'extends = "EW"', ("eu-de.toml", "extends"), "extends 'EW', which is no regime of its own"),
        ("eu-de.toml", "eu-legal-persons", "eu-persons", ("eu-de.toml", "replaces"), "replaces eu-persons, which is not there"),
        ("uk.toml", "effective_from = 2003-12-11", "", ("uk.toml", "#"), "effective_from is missing"),
        ("us.toml", "effective_from = 2004-01-01", "effective_from = 2004-13-01", ("us.toml", "effective_from"), "not TOML"),
    ],
)  # fmt: skip
def test_a_wrong_law_is_refused_with_file_and_line(file: str, old: str, new: str, line: tuple[str, str], says: str) -> None:
    wrong = refused(changed(file, old, new))
    assert says in str(wrong)
    assert (wrong.file, wrong.line) == (line[0], line_of(*line))
    assert str(wrong).startswith(f"{wrong.file}:{wrong.line}: ")


def test_a_rule_without_its_section_is_refused() -> None:
    wrong = refused(changed("us.toml", 'section = "16 CFR 316.5"\n', ""))
    assert "section is missing" in str(wrong)
    assert (wrong.file, wrong.line) == ("us.toml", line_of("us.toml", 'id = "us-plain-unsubscribe"') - 1)


def test_a_rule_that_names_no_case_or_an_unknown_one_is_refused() -> None:
    first = next(line for line in TEXTS["us.toml"].splitlines() if line.startswith("cases = "))
    at = line_of("us.toml", "cases = ")
    none = refused(changed("us.toml", first, "cases = []"))
    assert ("names no case" in str(none), none.file, none.line) == (True, "us.toml", at)
    unknown = refused(changed("us.toml", first, 'cases = ["dv-999"]'), known_cases={"dv-001"})
    assert "is unknown" in str(unknown)


def test_two_rules_where_a_regime_has_one_are_an_overlap() -> None:
    second = '\n[[rule]]\nid = "us-more-tracking"\nkind = "tracking"\nsection = "none"\nneeds_consent = true\ncases = ["dv-001"]\n'
    wrong = refused({**TEXTS, "us.toml": TEXTS["us.toml"] + second})
    assert "overlap: rules us-tracking and us-more-tracking" in str(wrong)
    assert wrong.line == len(TEXTS["us.toml"].splitlines()) + 2


def test_a_regime_whose_rule_begins_after_it_has_a_gap() -> None:
    wrong = refused(changed("us.toml", 'kind = "tracking"', 'kind = "tracking"\neffective_from = 2005-01-01'))
    assert "gap: no rule of kind tracking from 2004-01-01 on" in str(wrong)
    wrong = refused(changed("eu-ie.toml", 'replaces = "eu-soft-opt-in"', 'replaces = "eu-soft-opt-in"\neffective_from = 2019-01-01'))
    assert "gap: rule ie-soft-opt-in begins on 2019-01-01" in str(wrong)
    assert wrong.line == line_of("eu-ie.toml", 'replaces = "eu-soft-opt-in"') + 1


def test_a_regime_without_a_way_back_is_refused() -> None:
    wrong = refused(changed("au.toml", 'events = ["express_consent"]', 'events = ["volunteer"]'))
    assert "no route by express_consent" in str(wrong)


def test_a_law_without_the_strictest_default_is_refused() -> None:
    wrong = refused({name: text for name, text in TEXTS.items() if name != "zz.toml"})
    assert "there is no strictest default" in str(wrong)


def test_adding_a_country_is_adding_a_file(tmp_path: Path) -> None:
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    canada_elsewhere = TEXTS["ca.toml"].replace('"CA"', '"NZ"', 2).replace('id = "ca-', 'id = "nz-')
    (tmp_path / "nz.toml").write_text(canada_elsewhere, encoding="utf-8")
    law = load_law(tmp_path)
    assert law.regime_of["NZ"] == "NZ"
    assert law.version != the_law().version


def test_the_version_is_that_of_what_decides() -> None:
    version = the_law().version
    assert law_of(changed("us.toml", "# United States", "# The United States")).version == version
    assert law_of(changed("us.toml", "business_days = 10", "business_days = 11")).version != version
    assert law_of(changed("us.toml", 'section = "16 CFR 316.5"', 'section = "16 CFR 316"')).version != version
