"""The cases that the law is held against: the vectors as given, and our own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from postlaw_law.checking import Outcome, check
from postlaw_law.law import Law

HERE = Path(__file__).parent
FILES = sorted((HERE / "vectors").glob("*.json")) + sorted((HERE / "cases").glob("*.json"))
DOCUMENTS: list[dict[str, Any]] = [json.loads(path.read_text(encoding="utf-8")) for path in FILES]
BY_ID: dict[str, dict[str, Any]] = {
    vector["id"]: {**document, "vectors": [vector]} for document in DOCUMENTS for vector in document["vectors"]
}


def run(id: str, law: Law) -> Outcome:
    (outcome,) = check(BY_ID[id], law)
    return outcome
