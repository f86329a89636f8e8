"""`postlaw receipt verify`: what it says and with which exit code, from files alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.mesh.tests.receipts_made import (
    BESIDE,
    EVENT,
    GOLDEN,
    JWKS,
    LOG_KEY,
    LOG_VKEY,
    ORIGIN,
    RECEIPT_KEY,
    changed,
    entry_of,
    made,
    proof_of,
    signed,
)
from postlaw_audit.key_chain import succession
from postlaw_audit.notes import Checkpoint, open_note, parse_verifier_key, verifier_key
from postlaw_audit.notes import sign as sign_note
from postlaw_common.testing.promises import promise
from postlaw_consent.domain.receipt import receipt_of
from postlaw_consent.receipt_signing import key_id
from postlaw_mesh.command import main
from services.audit.tests.logs_made import POLICY, cosigned


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["receipt", "verify", *words])


def test_the_command_says_what_holds_and_that_nobody_outside_has_witnessed_it(tmp_path: Path) -> None:
    log, keys = tmp_path / "log.vkey", tmp_path / "keys.json"
    log.write_text(LOG_VKEY + "\n")
    keys.write_text(JWKS)
    for options in (["--log-key", LOG_VKEY, "--receipt-key", JWKS], ["--log-key", str(log), "--receipt-key", str(keys)]):
        done = run(str(GOLDEN), *options)
        assert done.exit_code == 0, done.output
        assert f"verified: {EVENT.event_id}, given at 2026-09-21T" in done.output
        assert "unwitnessed" in done.output
    told = json.loads(run(str(GOLDEN), *options, "--json").output)
    assert (told["verified"], told["state"], told["log"]) == (
        True,
        "given",
        {"origin": ORIGIN, "index": 2, "tree_size": 4, "witnessed": False},
    )
    assert told["key_id"] == key_id(RECEIPT_KEY.public_key())


def test_the_command_names_what_is_wrong_and_tells_it_from_what_it_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTLAW_STATE", str(tmp_path / "nothing"))
    options = ["--log-key", LOG_VKEY, "--receipt-key", JWKS]
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(changed(made(), ("consentTimestamp",))))
    assert (run(str(file), *options).exit_code, run(str(file), *options).output.startswith("NOT VERIFIED: signature: ")) == (1, True)
    assert json.loads(run(str(file), *options, "--json").output)["verified"] is False
    other = verifier_key("other.example/log", LOG_KEY.public_key().public_bytes_raw())
    assert "log.checkpoint" in run(str(GOLDEN), "--log-key", other, "--receipt-key", JWKS).output
    file.write_text("no receipt")
    for words in (
        [str(file), *options],
        [str(tmp_path / "gone"), *options],
        [str(GOLDEN), *options[:2]],
        [str(GOLDEN), *options[2:]],
        [str(GOLDEN), "--log-key", "x", "--receipt-key", JWKS],
        [str(GOLDEN), "--log-key", LOG_VKEY, "--receipt-key", "{}"],
    ):
        assert run(*words).exit_code == 2, words


@promise("A3")
def test_a_receipt_is_witnessed_by_whom_the_policy_names_and_by_nobody_else(tmp_path: Path) -> None:
    file, policy = tmp_path / "receipt.json", tmp_path / "policy"
    receipt = made()
    receipt["log"]["checkpoint"] = cosigned(receipt["log"]["checkpoint"], 0)
    file.write_text(json.dumps(signed(receipt)))
    for quorum, words in (("one", "witnessed by one"), ("two", "unwitnessed"), ("none", "unwitnessed")):
        policy.write_text(f"{POLICY}quorum {quorum}\n")
        done = run(str(file), "--log-key", LOG_VKEY, "--receipt-key", JWKS, "--witnesses", str(policy))
        assert (done.exit_code, done.output.splitlines()[-1].startswith(words)) == (0, True), done.output
    policy.write_text("nonsense")
    assert run(str(file), "--log-key", LOG_VKEY, "--receipt-key", JWKS, "--witnesses", str(policy)).exit_code == 2


@promise("A3")
def test_a_receipt_of_a_rotated_key_of_the_log_verifies_for_whoever_knows_either_and_for_no_stranger(tmp_path: Path) -> None:
    """Signed with the log's second key alone, and with both."""
    second = Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32)
    second_vkey = verifier_key(ORIGIN, second.public_key().public_bytes_raw())
    stranger = Ed25519PrivateKey.from_private_bytes(bytes([8]) * 32)
    note, forged = succession(ORIGIN, LOG_KEY, second), succession(ORIGIN, stranger, second)
    text, _, signatures = note.partition("\n\n")
    by_the_second_alone = f"{text}\n\n{signatures.splitlines()[1]}\n"
    file = tmp_path / "receipt.json"

    def verifies(log: dict[str, Any], key: str) -> bool:
        file.write_text(json.dumps(signed({**receipt_of(EVENT, BESIDE), "log": log})))
        return run(str(file), "--log-key", key, "--receipt-key", JWKS).exit_code == 0

    before = proof_of(entry_of(EVENT))
    checkpoint = Checkpoint(ORIGIN, 4, open_note(before["checkpoint"], *parse_verifier_key(LOG_VKEY)).root)
    after = before | {"checkpoint": sign_note(checkpoint, second), "keys": [note]}
    both = before | {"checkpoint": sign_note(checkpoint, LOG_KEY, second), "keys": [note]}
    for log in (after, both):
        assert verifies(log, LOG_VKEY) and verifies(log, second_vkey)
        assert not verifies(log, verifier_key(ORIGIN, stranger.public_key().public_bytes_raw()))
    assert verifies(before, LOG_VKEY)
    assert not verifies(before | {"keys": [note]}, second_vkey), "an older key's word is not enough for whoever knows the newer one"
    for keys in ([], [forged], [by_the_second_alone], [note.replace("followed", "preceded")], [7], "x"):
        assert not verifies(after | {"keys": keys}, LOG_VKEY), keys
    assert not verifies(before | {"witnesses": "cosigned"}, LOG_VKEY)


@promise("G2")
def test_a_receipt_from_before_the_log_had_the_event_is_attributable_and_says_what_it_lacks(tmp_path: Path) -> None:
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(signed(receipt_of(EVENT, BESIDE))))
    done = run(str(file), "--receipt-key", JWKS)
    assert (done.exit_code, "not shown to be in the log" in done.output, "unwitnessed" in done.output) == (0, True, False)
    assert (json.loads(run(str(file), "--receipt-key", JWKS, "--json").output))["log"] is None
    asked = run(str(file), "--receipt-key", JWKS, "--log-key", LOG_VKEY)
    assert (asked.exit_code, asked.output.startswith("NOT VERIFIED: log: ")) == (1, True)
