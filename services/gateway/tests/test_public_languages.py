"""The public pages' languages: which one a person gets, and that each says everything."""

from __future__ import annotations

from string import Formatter
from typing import Any

import pytest

from postlaw.consent.v1 import consent_pb2
from postlaw_common.errors import Unavailable
from postlaw_common.testing.promises import promise
from postlaw_gateway.public_pages.languages import LANGUAGES, language_of
from postlaw_gateway.public_pages.texts import TEXTS
from services.gateway.tests.test_opt_out_page import outline

RECORDED = {
    "en": "Done. One message already on its way may still arrive.",
    "de": "Erledigt. Eine Nachricht, die schon unterwegs ist, kann noch ankommen.",
    "fr": "C’est fait. Un message déjà en route peut encore arriver.",
    "es": "Hecho. Un mensaje que ya está en camino puede llegar todavía.",
}


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_text_with_the_same_placeholders(language: str) -> None:
    english, texts = TEXTS["en"], TEXTS[language]
    assert texts.keys() == english.keys()
    for name, text in texts.items():
        assert placeholders(text) == placeholders(english[name]), name
        assert text.strip() == text != "", name


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_marks_up_the_page(language: str) -> None:
    for name, text in TEXTS[language].items():
        assert not set(text) & set("<>&\"'"), name


@pytest.mark.parametrize(
    ("query", "header", "language"),
    [
        ("", "", "en"),
        ("", "de-AT, en;q=0.5", "de"),
        ("", "fr-CA;q=0.8, it, en;q=0.7", "fr"),
        ("", "en;q=0.2, es-419;q=0.9", "es"),
        ("", "de;q=0", "en"),
        ("", "de;q=0, es", "es"),
        ("", "ES", "es"),
        ("", "zh-Hans-CN, *;q=0.1", "en"),
        ("", "de;q=x, fr;q=0.1", "fr"),
        ("", ";;;,,q=", "en"),
        ("", "de\xff, fr", "fr"),
        ("lang=fr", "de", "fr"),
        ("a=1&lang=es", "de", "es"),
        ("lang=xx", "de", "de"),
        ("lang=../en", "", "en"),
        ("lang=%ff", "es", "es"),
        ("&" * 100 + "lang=fr", "de", "de"),
    ],
)
def test_the_choice_on_the_page_wins_then_the_browsers_then_english(query: str, header: str, language: str) -> None:
    assert language_of(query.encode("latin-1"), header.encode("latin-1")).tag == language


@promise("M5")
@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_page_and_its_confirmation_are_in_the_persons_language(door: Any, language: str) -> None:
    door.consent.outcome = consent_pb2.OUTCOME_RECORDED
    texts, asked = TEXTS[language], {"accept-language": f"{language}-XX, en;q=0.1"}
    page = await door.http.get("/u/good", headers=asked)
    done = await door.http.post("/u/good", data={"stop": "this"}, headers=asked)
    wrong = await door.http.get("/u/forged", headers=asked)
    assert texts["at_once"] in page.text
    assert RECORDED[language] in done.text
    assert texts["bad_link"] in wrong.text
    for answer in (page, done, wrong):
        assert ("html", {"lang": language}) in outline(answer.text).tags
        assert answer.headers["content-language"] == language
        assert answer.headers["vary"] == "accept-language"


async def test_another_language_is_one_link_away_and_choosing_it_changes_nothing(door: Any) -> None:
    page = await door.http.get("/u/good")
    links = [attributes for tag, attributes in outline(page.text).tags if tag == "a" and attributes.get("hreflang")]
    assert [(link["href"], link["lang"]) for link in links] == [(f"?lang={language}", language) for language in LANGUAGES]
    assert [link["lang"] for link in links if "aria-current" in link] == ["en"]
    for language in LANGUAGES:
        chosen = await door.http.get(f"/u/good?lang={language}", headers={"accept-language": "de"})
        assert ("html", {"lang": language}) in outline(chosen.text).tags
        assert "set-cookie" not in chosen.headers
    assert door.consent.withdrawn == []


async def test_the_chosen_language_lasts_through_the_button(door: Any) -> None:
    page = await door.http.get("/u/good?lang=fr")
    assert [attributes for tag, attributes in outline(page.text).tags if tag == "form"] == [{"method": "post"}], "back to the same address"
    done = await door.http.post("/u/good?lang=fr", data={"stop": "this"}, headers={"accept-language": "de"})
    assert TEXTS["fr"]["said_stopped"] in done.text
    assert "1 mars 2026, 12:00:00 UTC" in done.text


@promise("G9")
@pytest.mark.parametrize("path", ["/u/good", "/u/good/preferences", "/c/good", "/p/good"])
async def test_what_the_person_chose_to_keep_counts_before_the_browser_and_after_the_page(door: Any, path: str) -> None:
    asked = {"accept-language": "es"}
    for kept, query, language in (("", "", "es"), ("de", "", "de"), ("de", "?lang=fr", "fr"), ("it", "", "es")):
        door.subscribers.language = kept
        page = await door.http.get(path + query, headers=asked)
        assert page.headers["content-language"] == language
        assert f'<html lang="{language}">' in page.text
        assert "set-cookie" not in page.headers
    assert door.consent.languages_kept == []


@promise("M5")
async def test_a_stop_is_answered_in_the_language_that_the_person_keeps_and_in_any_where_that_cannot_be_had(door: Any) -> None:
    door.subscribers.language = "de"
    asked = {"accept-language": "text/html, es", "accept": "text/html"}
    assert TEXTS["de"]["said_stopped"] in (await door.http.post("/u/good", data={"stop": "this"}, headers=asked)).text
    door.subscribers.refuses = Unavailable("away")
    page = await door.http.post("/u/good", data={"stop": "this"}, headers={"accept-language": "es", "accept": "text/html"})
    assert (page.headers["content-language"], TEXTS["es"]["said_stopped"] in page.text) == ("es", True)


@promise("G9")
async def test_only_a_press_keeps_a_language(door: Any) -> None:
    page = await door.http.post("/u/good/preferences?lang=fr", data={"language": "fr"})
    assert TEXTS["fr"]["changed_language"] in page.text
    assert [(asked.token, asked.language) for asked in door.consent.languages_kept] == [("good", "fr")]
    door.subscribers.language = "fr"
    assert TEXTS["fr"]["button_language"] not in (await door.http.get("/u/good/preferences")).text
    assert (await door.http.post("/u/good/preferences", data={"language": "xx"})).status_code == 400
    assert (await door.http.post("/u/forged/preferences", data={"language": "fr"})).status_code == 404
    door.consent.keeps_languages = False
    assert TEXTS["de"]["language_not_kept"] in (await door.http.post("/u/good/preferences?lang=de", data={"language": "de"})).text
    assert len(door.consent.languages_kept) == 2
