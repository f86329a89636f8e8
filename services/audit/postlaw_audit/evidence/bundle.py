"""The bundle of evidence: one ZIP that whoever gets it can check with Python alone."""

from __future__ import annotations

import hashlib
import inspect
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from postlaw_audit.evidence import mail, verify
from postlaw_audit.evidence.account import Fact
from postlaw_audit.evidence.schema import schema_of
from postlaw_audit.evidence.words import Told, as_page, as_text
from postlaw_audit.search.events import Event


@dataclass(frozen=True, slots=True)
class Signed:
    """By the log: the checkpoint's `note`, the `key` that its present notes are signed with, and the notes by which it followed others, by
    number. `sign` makes a text's signed note."""

    note: str
    key: str
    successions: Mapping[int, str]
    sign: Callable[[str], str]


def bundle(
    told: Told,
    people: Sequence[str],
    facts: Sequence[tuple[Event, Fact]],
    proofs: Mapping[int, Sequence[bytes]],
    wordings: Mapping[str, str],
    signed: Signed,
) -> bytes:
    """`people`: address keys in hex, and ids, whose facts are told, oldest first; `proofs` of each of their entries below the checkpoint.
    `wordings` by their hash."""
    places = [
        [{"index": n, "proof": [step.hex() for step in proofs[n]]} for n in range(event.first, event.index + 1)] for event, _ in facts
    ]
    about = {
        "tenant_id": told.tenant_id,
        "asked_at": told.asked_at,
        "searched_below": told.searched_below,
        "complete": told.complete,
        "witnesses": list(told.witnesses) or "unwitnessed",
    }
    files = {
        "account.txt": as_text(told).encode(),
        "account.html": as_page(told).encode(),
        "evidence.json": _json({"about": about, "people": list(people), "events": places, "facts": [fact for _, fact in facts]}),
        "schema.json": _json(schema_of({event.entry.type for event, _ in facts})),
        "verify.py": inspect.getsource(verify).encode(),
        **{f"wording/{digest}.txt": wording.encode() for digest, wording in wordings.items()},
        **{f"keys/{number}": note.encode() for number, note in signed.successions.items()},
    }
    if told.mail is not None:
        files |= {"mail.header": told.mail.header, "mail.py": inspect.getsource(mail).encode()}
    lines = [f"{hashlib.sha256(data).hexdigest()} {name}" for name, data in sorted(files.items())]
    files |= {
        "evidence.note": signed.sign("\n".join(["postlaw evidence/1", *lines, ""])).encode(),
        "checkpoint": signed.note.encode(),
        "log.vkey": f"{signed.key}\n".encode(),
        **{f"entries/{event.first + n}": piece for event, _ in facts for n, piece in enumerate(event.pieces)},
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()
