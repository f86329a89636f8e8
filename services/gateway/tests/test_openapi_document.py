"""The OpenAPI document says what the door does. After a wanted change: `python -m postlaw_gateway.openapi > …/golden/openapi.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from postlaw.consent.v1 import consent_pb2
from postlaw.subscribers.v1 import subscribers_pb2
from postlaw_gateway.field_meanings import meanings
from postlaw_gateway.openapi import document
from postlaw_gateway.routes import ROUTES
from postlaw_law.words import EVIDENCE, RELATIONSHIPS

_FILES = (consent_pb2.DESCRIPTOR, subscribers_pb2.DESCRIPTOR)
GOLDEN = Path(__file__).parent / "golden" / "openapi.json"


def test_the_document_is_the_golden_one() -> None:
    assert json.loads(GOLDEN.read_text()) == document("https://mail.example")


def test_every_reference_leads_somewhere() -> None:
    described = document("https://mail.example")
    schemas = described["components"]["schemas"]

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if "$ref" in value:
                assert value["$ref"].removeprefix("#/components/schemas/") in schemas
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(described)


def test_every_operation_has_an_id_of_its_own_and_its_scopes() -> None:
    described = document("https://mail.example")
    operations = [operation for verbs in described["paths"].values() for verb, operation in verbs.items() if verb != "parameters"]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids)) == len(ROUTES) + 2
    for route in ROUTES:
        assert described["paths"][route.path][route.verb.lower()].get("x-scopes", []) == sorted(route.method.scopes)


def test_nothing_restricted_is_described_but_what_is_shown_once() -> None:
    text = json.dumps(document("https://mail.example"))
    assert "sealed" not in text
    assert text.count('"secret"') == sum("secret" in row.forgets for row in ROUTES) == 3


def _below(messages: Iterable[Any]) -> Iterator[Any]:
    for message in messages:
        yield message
        yield from _below(message.nested_types)


def test_every_meaning_belongs_to_a_field_and_stands_in_the_document() -> None:
    """A developer who reads only this knows what the law asks."""
    messages = {message.name: message for file in _FILES for message in _below(file.message_types_by_name.values())}
    text = json.dumps(document("https://mail.example"), ensure_ascii=False)
    for name, meaning in meanings().items():
        message, _, field = name.partition(".")
        assert field in messages[message].fields_by_name, name
        assert json.dumps(meaning, ensure_ascii=False) in text, name
    assert all(f"`{word}`" in meanings()["Particulars.held"] for word in EVIDENCE)
    events = {RELATIONSHIPS[word] for word in re.findall(r"`(\w+)`", meanings()["Particulars.relationship"])}
    assert events == set(RELATIONSHIPS.values())


def test_what_stops_mail_and_what_a_relationship_is_are_said_in_words_that_exist() -> None:
    paths = document("https://mail.example")["paths"]
    record = paths["/v1/consents"]["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]["consents"]["items"]
    assert {"kind", "particulars", "given_at"} <= record["properties"].keys()
    assert {"given", "implied", "renewed", "objected"} <= set(record["properties"]["kind"]["enum"])
    relationship = paths["/v1/relationships"]["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]["consents"]
    assert "kind" not in relationship["items"]["properties"]
    assert "refers_to_version" not in relationship["items"]["properties"]["particulars"]["properties"]


async def test_it_is_served(door: Any) -> None:
    answer = await door.http.get("/v1/openapi.json", headers={"authorization": ""})
    assert answer.status_code == 200
    assert answer.json() == json.loads(GOLDEN.read_text())


async def test_a_wrong_link_is_answered_as_documented(door: Any) -> None:
    described = document("https://mail.example")["paths"]["/u/{token}"]
    for verb, accept in (("get", "*/*"), ("post", "application/json"), ("post", "text/html")):
        body = {"data": {"List-Unsubscribe": "One-Click"}} if verb == "post" else {}
        answer = await door.http.request(verb.upper(), "/u/wrong", headers={"accept": accept}, **body)
        assert answer.status_code == 404
        assert answer.headers["content-type"].partition(";")[0] in described[verb]["responses"]["default"]["content"]


async def test_what_has_not_changed_is_answered_as_documented(door: Any) -> None:
    answer = await door.http.get("/v1/lists", headers={"if-none-match": "*"})
    described = document("https://mail.example")["paths"]["/v1/lists"]["get"]["responses"]
    assert (answer.status_code, answer.content, "content" in described["304"]) == (304, b"", False)
