"""`postlaw audit`: exit codes, what it keeps of what it saw, and whose signatures it believes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from postlaw_audit.commands import audit
from postlaw_audit.key_chain import succession_path
from postlaw_audit.notes import sign_text
from postlaw_audit.sources import PREFIX, VERIFIER_KEY, WITNESSED
from postlaw_common.testing.promises import promise
from services.audit.tests.logs_made import (
    KEYS,
    ORIGIN,
    POLICY,
    VERIFIERS,
    cosigned,
    entries,
    write,
    write_log,
    write_successions,
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    folder = tmp_path / "state" / "blobs" / "objects" / PREFIX
    write_log(folder, entries(600))
    return folder


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTLAW_STATE", str(tmp_path / "state"))


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(audit, [str(argument) for argument in arguments])


def policy(tmp_path: Path, quorum: str) -> Path:
    write(tmp_path / "policy", f"{POLICY}group both all one two\nquorum {quorum}\n".encode())
    return tmp_path / "policy"


@promise("A3")
def test_where_names_the_folder_and_the_key_that_verify_it(log: Path, tmp_path: Path) -> None:
    found = json.loads(run("where", "--json").output)
    assert found == {"path": str(log), "public_key": VERIFIERS[0]}
    assert run("verify", found["path"], "--key", found["public_key"], "--state", tmp_path / "elsewhere").exit_code == 0
    assert run("where", "--state", tmp_path / "nothing").exit_code == 3


@promise("A3")
def test_a_log_that_was_cut_back_or_written_anew_is_told_by_what_was_seen_of_it_before(log: Path) -> None:
    assert "first seen here" in run("verify").output
    assert "it continues what was seen before" in run("verify").output
    write_log(log, entries(500))
    done = run("verify", "--json")
    assert (done.exit_code, "cut back" in json.loads(done.output)["reason"]) == (1, True)
    write_log(log, entries(700, size=11))
    done = run("verify")
    assert (done.exit_code, "its first 600 entries were others" in done.output) == (1, True)
    write_log(log, entries(700))
    assert run("verify").exit_code == 0
    write_log(log, entries(650))
    assert run("verify").exit_code == 1


@promise("A3")
@pytest.mark.parametrize("now", [entries(500), entries(700, size=11)], ids=["cut back", "written anew"])
def test_what_was_compared_with_another_checkpoint_does_not_take_the_place_of_what_was_seen(
    log: Path, tmp_path: Path, now: list[bytes]
) -> None:
    assert run("verify").exit_code == 0
    write(tmp_path / "earlier", write_log(tmp_path / "other", now[:400]).encode())
    write_log(log, now)
    assert run("verify", "--earlier", tmp_path / "earlier").exit_code == 0
    assert run("verify").exit_code == 1


@promise("A3")
def test_witnessed_is_what_the_policys_quorum_has_cosigned_and_nothing_else(log: Path, tmp_path: Path) -> None:
    earlier = write_log(log, entries(300))
    write_log(log, entries(600))
    assert "unwitnessed" in run("verify", "--witnesses", policy(tmp_path, "one")).output
    write(log / WITNESSED, cosigned(earlier, 0).encode())
    assert "unwitnessed: no outside cosignature was checked" in run("verify").output
    assert "witnessed: the first 300 entries, by one, at 2025-11-24" in run("verify", "--witnesses", policy(tmp_path, "one")).output
    for quorum in ("both", "none"):
        assert "unwitnessed" in run("verify", "--witnesses", policy(tmp_path, quorum)).output
    write(log / WITNESSED, cosigned(earlier, 0, 1).encode())
    done = run("verify", "--json", "--witnesses", policy(tmp_path, "both"))
    assert json.loads(done.output)["witnessed"] == {"size": 300, "by": {"one": 1_764_000_000, "two": 1_764_000_000}}
    other = write_log(tmp_path / "other", entries(200))
    write(log / WITNESSED, (earlier + cosigned(other, 0).removeprefix(other)).encode())
    done = run("verify", "--witnesses", policy(tmp_path, "one"))
    assert (done.exit_code, "the cosignature of one does not fit" in done.output) == (1, True)
    write(log / WITNESSED, cosigned(write_log(tmp_path / "fork", entries(300, size=11)), 0).encode())
    done = run("verify")
    assert (done.exit_code, "does not continue the witnessed checkpoint" in done.output) == (1, True)
    write(log / WITNESSED, cosigned(write_log(tmp_path / "longer", entries(601)), 0).encode())
    done = run("verify")
    assert (done.exit_code, "witnesses have seen 601" in done.output) == (1, True)


@promise("A3")
def test_a_rotated_keys_checkpoint_is_the_logs_to_whoever_knows_an_earlier_key(log: Path, tmp_path: Path) -> None:
    write_log(log, entries(600), keys=KEYS[2:])
    assert run("verify", "--key", VERIFIERS[0]).exit_code == 1
    write_successions(log)
    for known in VERIFIERS:
        done = run("verify", "--json", "--key", known)
        assert json.loads(done.output)["key"] == VERIFIERS[2], done.output
    earlier = write_log(tmp_path / "before", entries(400), keys=KEYS[:1])
    write(tmp_path / "earlier", earlier.encode())
    assert run("verify", "--key", VERIFIERS[2], "--earlier", tmp_path / "earlier").exit_code == 0
    write_log(log, entries(600), keys=KEYS[:1])
    assert run("verify", "--key", VERIFIERS[1]).exit_code == 1


@promise("A3")
@pytest.mark.parametrize("signers", [KEYS[:1], KEYS[1:2], KEYS[1:]], ids=["only the old", "only the new", "another old"])
def test_a_key_follows_another_only_by_the_word_of_both(log: Path, signers: list[Ed25519PrivateKey]) -> None:
    write_log(log, entries(600), keys=KEYS[1:2])
    text = f"{ORIGIN}\nis followed by\n{VERIFIERS[0]}\n{VERIFIERS[1]}\n"
    write(log / succession_path(2), sign_text(text, ORIGIN, signers).encode())
    done = run("verify", "--key", VERIFIERS[0])
    assert (done.exit_code, "keys/2" in done.output) == (1, True)
    write(log / succession_path(2), sign_text(text, ORIGIN, KEYS[:2]).encode())
    assert run("verify", "--key", VERIFIERS[0]).exit_code == 0


def test_what_cannot_be_read_is_not_called_invalid(log: Path, tmp_path: Path) -> None:
    assert run("verify", "http://127.0.0.1:9/log", "--key", VERIFIERS[0]).exit_code == 3
    assert run("verify", tmp_path / "nothing").exit_code == 3
    write(tmp_path / "wrong", b"witness one nonsense\nquorum one\n")
    assert run("verify", "--witnesses", tmp_path / "wrong").exit_code == 2
    write(log / VERIFIER_KEY, b"\xff")
    assert run("verify").exit_code == 1
