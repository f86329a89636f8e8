"""The bundle of evidence: one ZIP that whoever gets it can check with Python alone."""

from __future__ import annotations

import hashlib
import html
import inspect
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from postlaw_audit.evidence import verify
from postlaw_audit.evidence.account import account_of
from postlaw_audit.evidence.schema import schema_of
from postlaw_audit.search.events import Event

Sign = Callable[[str], str]  # a text's signed note


def bundle(
    about: Mapping[str, Any],
    people: Sequence[str],
    events: Sequence[Event],
    proofs: Mapping[int, Sequence[bytes]],
    wordings: Mapping[str, str],
    note: str,
    key: str,
    sign: Sign,
) -> bytes:
    """`about`: what was asked, `searched_below` and `complete` among it. `people`: address keys in hex, and ids. `events` oldest first;
    `proofs` of each of their entries below the checkpoint whose signed note is `note`. `wordings` by their hash."""
    schema = schema_of({event.entry.type for event in events})
    read: dict[str, Any] = json.loads(json.dumps(schema))
    told = [(event, fact) for event in events if (fact := verify.fact_of(event.index, list(event.pieces), list(people), read)) is not None]
    facts = [fact for _, fact in told]
    text = account_of(facts, about["searched_below"], complete=about["complete"])
    places = [[{"index": n, "proof": [step.hex() for step in proofs[n]]} for n in range(event.first, event.index + 1)] for event, _ in told]
    files = {
        "account.txt": text.encode(),
        "account.html": _page(text).encode(),
        "evidence.json": _json({"about": dict(about), "people": list(people), "events": places, "facts": facts}),
        "schema.json": _json(schema),
        "verify.py": inspect.getsource(verify).encode(),
        **{f"wording/{digest}.txt": wording.encode() for digest, wording in wordings.items()},
    }
    lines = [f"{hashlib.sha256(data).hexdigest()} {name}" for name, data in sorted(files.items())]
    files |= {
        "evidence.note": sign("\n".join(["postlaw evidence/1", *lines, ""])).encode(),
        "checkpoint": note.encode(),
        "log.vkey": f"{key}\n".encode(),
        **{f"entries/{event.first + n}": piece for event, _ in told for n, piece in enumerate(event.pieces)},
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()


def _page(text: str) -> str:
    return f'<!doctype html><meta charset="utf-8"><title>Evidence</title><pre>{html.escape(text)}</pre>\n'
