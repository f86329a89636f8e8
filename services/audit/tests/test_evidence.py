"""The bundle of evidence verifies on a machine that has only Python, says what happened, and shows every change that was made to it."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.evidence import verify
from postlaw_audit.notes import parse_note, sign_text, verifier_key
from postlaw_common.errors import NotFound
from postlaw_common.testing.mesh import Mesh
from postlaw_common.testing.promises import promise
from services.audit.tests.evidence_made import BEN, NOTICE, WORDING, Files, asked, checked, happened, log_of, stub_of
from services.audit.tests.logs_made import KEYS, POLICY, VERIFIERS, cosigned


@pytest.fixture
async def running(tmp_path: Path) -> AsyncGenerator[Mesh]:
    async with log_of(tmp_path, happened()) as made:
        yield made


@promise("A1", "A3", "G1")
async def test_the_bundle_of_a_mailed_person_who_was_erased_verifies_with_python_alone(running: Mesh, tmp_path: Path) -> None:
    files = await asked(running, "ann@example.com")
    done = checked(files, tmp_path / "bundle", files["log.vkey"].decode())
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("verified: 6 events below the checkpoint of 7 entries")
    account = files["account.txt"].decode()
    for line in (
        "1970-01-01 00:33:20.000250 UTC  handed over, sent, campaign cmp_1  [entry 2]",
        "by the law of 2026-11; it rests on GB: consent",
        f'given {{"list_id": "lst_1"}} by page, wording/{NOTICE.hex()}.txt',
        "answered stopped at",
        "handed over later: nothing",
        "by subscribers.GetSubscriber",
        "all entries of the log below 7",
    ):
        assert line in account
    assert files[f"wording/{NOTICE.hex()}.txt"].decode() == WORDING
    assert json.loads(files["evidence.json"])["facts"][0]["said"]["particulars"]["held"] == ["EVIDENCE_PURPOSE", "EVIDENCE_SEPARATE"]
    assert not any(b"ann@example.com" in data for data in files.values())


@promise("A3")
async def test_every_change_of_the_bundle_is_seen(running: Mesh, tmp_path: Path) -> None:
    files = await asked(running, "ann@example.com")
    told = json.loads(files["evidence.json"])

    def changed(change: Callable[[Any], Any]) -> Files:
        other = json.loads(files["evidence.json"])
        change(other)
        return {"evidence.json": json.dumps(other).encode()}

    damages: dict[str, Files | None] = {f"flipped {name}": {name: flipped(data)} for name, data in files.items() if name != "verify.py"}
    damages |= {f"missing {name}": None for name in files if name != "verify.py"}
    damages |= {
        "a fact": changed(lambda one: one["facts"][0]["said"].update(kind="KIND_WITHDRAWN")),
        "another person": changed(lambda one: one["people"].append(BEN.hex())),
        "an event left out": changed(lambda one: (one["events"].pop(), one["facts"].pop())),
        "an entry that says the same in other bytes": {"entries/2": files["entries/2"] + b"\xa0\x06\x01"},
        "entries that changed places": {"entries/0": files["entries/2"], "entries/2": files["entries/0"]},
        "an older note of the same key": {"evidence.note": files["checkpoint"]},
    }
    assert len(told["facts"]) == 6
    for number, (damage, replaced) in enumerate(damages.items()):
        bundle = {name: data for name, data in files.items() if damage != f"missing {name}"} | (replaced or {})
        done = checked(bundle, tmp_path / str(number))
        assert (done.returncode, done.stderr[:12]) == (1, "NOT VERIFIED"), damage
    other = "postlaw.example/log+00000000+" + "A" * 44
    assert checked(files, tmp_path / "key", other).returncode == 1


def flipped(data: bytes) -> bytes:
    middle = len(data) // 3
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@promise("A3")
async def test_a_bundle_verifies_for_whoever_knows_an_earlier_key_of_the_log_and_is_unwitnessed_until_a_witness_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with log_of(tmp_path / "state", happened()) as made:
        first = (await stub_of(made).GetCheckpoint(audit.GetCheckpointRequest())).verifier_key
    monkeypatch.setenv("POSTLAW_AUDIT_SIGNING_KEYS", "2")
    async with log_of(tmp_path / "state", happened()[:1], after=len(happened())) as made:
        files = await asked(made, "ann@example.com")
    second = files["log.vkey"].decode().strip()
    assert first != second
    told = [checked(files, tmp_path / "whole", key) for key in (first, second)]
    assert [(one.returncode, "unwitnessed" in one.stdout) for one in told] == [(0, True)] * 2, told
    note = files["keys/2"].decode()
    for damage, replaced in {
        "gone": None,
        "by one alone": note.rpartition("\u2014")[0],
        "of another": note.replace(first, VERIFIERS[1]),
    }.items():
        other = {name: data for name, data in files.items() if name != "keys/2"} | ({"keys/2": replaced.encode()} if replaced else {})
        assert checked(other, tmp_path / damage, first).returncode == 1, damage
    strangers = taken_over(files, first)
    by = [checked(strangers, tmp_path / "taken over", key).returncode for key in (first, strangers["log.vkey"].decode())]
    assert by == [1, 0], "a key that only says of itself that it follows is none, however well all else is made"
    assert "UNWITNESSED" in files["account.txt"].decode()
    assert json.loads(files["evidence.json"])["about"]["witnesses"] == "unwitnessed"
    one, two = (line.split()[2] for line in POLICY.splitlines())
    witnessed = files | {"checkpoint": cosigned(files["checkpoint"].decode(), 0).encode()}
    by_one = checked(witnessed, tmp_path / "witnessed", first, one)
    assert (by_one.returncode, f"witnessed by {one}" in by_one.stdout) == (0, True), by_one.stderr
    assert checked(witnessed, tmp_path / "witnessed", first, two).returncode == 1


def taken_over(files: Files, key: str) -> Files:
    """The bundle as somebody without the log's key makes it, who signs with their own, and that it follows."""
    name, own = key.partition("+")[0], KEYS[1]
    stranger = verifier_key(name, own.public_key().public_bytes_raw())
    note = sign_text(f"{name}\nis followed by\n{key}\n{stranger}\n", name, [own])
    texts = {path: parse_note(files[path].decode()).text for path in ("checkpoint", "evidence.note")}
    before, after = (hashlib.sha256(data).hexdigest() for data in (files["keys/2"], note.encode()))
    signed = {path: sign_text(text.replace(before, after), name, [own]).encode() for path, text in texts.items()}
    return files | signed | {"keys/2": note.encode(), "log.vkey": stranger.encode()}


@promise("A1")
async def test_of_other_customers_and_of_strangers_there_is_nothing(running: Mesh) -> None:
    for address, tenant_id in (("ann@example.com", "ten_2"), ("nobody@example.com", "ten_1")):
        with pytest.raises(NotFound):
            await asked(running, address, tenant_id)


def test_the_verifier_is_short_enough_to_be_read_and_needs_nothing() -> None:
    source = Path(verify.__file__).read_text().splitlines()
    assert len(source) <= 150
    imported = {line.split()[1] for line in source if line.startswith(("import ", "from "))}
    assert imported <= sys.stdlib_module_names
