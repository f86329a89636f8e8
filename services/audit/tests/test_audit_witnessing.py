"""Witnesses: transparency-dev's own cosigns our log, and none that cut back or forked; nothing waits for one that is away."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from postlaw_audit.domain.merkle import leaf_hash, verify_inclusion
from postlaw_audit.notes import Checkpoint, parse_checkpoint, parse_note, sign, sign_text, verifier_key
from postlaw_audit.publishing import CHECKPOINT, WITNESSED
from postlaw_audit.reader import LogReader
from postlaw_audit.verifying import verify_log
from postlaw_audit.witness_policy import COSIGNATURE, PolicyInvalid, cosigned_by, parse_policy
from postlaw_audit.witnessing import Witnessing
from postlaw_common.testing.log_verifiers import LogVerifiers
from postlaw_common.testing.patience import PATIENCE_S, patience
from postlaw_common.testing.promises import promise
from services.audit.tests.installation import ORIGIN, Installation, running
from services.audit.tests.logs_made import KEYS, POLICY, WITNESS_KEYS, WITNESSES, cosigned

Answers = Callable[[httpx.Request], httpx.Response]


def witnessing(there: Installation, policy: str, transport: httpx.AsyncBaseTransport | None = None) -> Witnessing:
    async def prove(first: int, second: int) -> list[bytes]:
        return (await there.reader.prove_consistency(first, second))[1]

    made = Witnessing(there.publisher(), prove, every_s=0.05, transport=transport)
    made.policy = parse_policy(policy)
    return made


def by_url(policy: str, *urls: str) -> str:
    """The policy with an address for each of its witnesses."""
    lines = policy.splitlines()
    return "".join(f"{line} {url}\n" for line, url in zip(lines, urls, strict=False))


async def witnessed_size(there: Installation) -> int:
    note = await there.blobs.get(WITNESSED)
    return parse_checkpoint(note.decode()).size if note else 0


async def nobody_else() -> None:
    """The log is still ours."""


@promise("A3")
async def test_a_real_witness_cosigns_what_continues_the_log_and_neither_a_rollback_nor_a_fork(
    there: Installation, tmp_path: Path, other_verifiers: LogVerifiers
) -> None:
    private, public = WITNESS_KEYS[0].private_bytes_raw(), WITNESS_KEYS[0].public_key().public_bytes_raw()
    key_id = verifier_key(WITNESSES[0], public).split("+")[1]
    encoded = base64.b64encode(b"\x01" + private).decode()
    (tmp_path / "witness.key").write_text(f"PRIVATE+KEY+{WITNESSES[0]}+{key_id}+{encoded}")
    (tmp_path / "log.vkey").write_text(there.verifier)
    with other_verifiers.witness(tmp_path / "witness.key", tmp_path / "log.vkey") as url:
        policy = by_url(POLICY, url) + "quorum one\n"
        asking = witnessing(there, policy)
        async with running(there.writer("a", witnessing=asking)):
            for size in (300, 700):
                ids = await there.publish(size - await there.size())
                await reached(there, size)
            reader = LogReader(there.blobs, there.index, witnessed=lambda: True)
            proof = await reader.prove_event(ids[0])
            assert list(cosigned_by(parse_note(proof.note), asking.policy)) == ["one"]
            verify_inclusion(proof.index, proof.checkpoint.size, leaf_hash(proof.entry), proof.hashes, proof.checkpoint.root)
            older = await there.blobs.get(WITNESSED)
        verified = await verify_log(there.files, there.verifier, policy=asking.policy)
        assert verified.witnessed is not None
        assert (verified.witnessed.size, list(verified.witnessed.by)) == (700, ["one"])
        assert older is not None
        for lie in (Checkpoint(ORIGIN, 300, bytes(32)), Checkpoint(ORIGIN, 700, bytes(32))):
            liar = witnessing(there, policy)
            liar.publisher.newest = lie, sign(lie, there.key)
            async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
                await liar.once(client, nobody_else)
            assert await there.blobs.get(WITNESSED) == older


async def reached(there: Installation, size: int) -> None:
    async with patience():
        while await witnessed_size(there) < size:
            await asyncio.sleep(0.02)


def answering(answers: Answers) -> httpx.MockTransport:
    return httpx.MockTransport(answers)


def witness_of(number: int) -> Answers:
    """Cosigns whatever it is shown."""

    def answer(request: httpx.Request) -> httpx.Response:
        note = request.content.decode().partition("\n\n")[2]
        return httpx.Response(200, text=cosigned(note, number).removeprefix(note))

    return answer


@promise("A3")
@pytest.mark.parametrize(
    "refusal",
    [
        httpx.Response(403),
        httpx.Response(409, text="many"),
        httpx.Response(409, text="5"),
        httpx.Response(422),
        httpx.Response(500),
        httpx.Response(200, text="nonsense"),
        httpx.Response(200, text="\u2014 two.example AAAAAAA=\n"),
        None,
    ],
    ids=lambda r: f"{r.status_code} {r.text[:8]}" if r else "no answer",
)
async def test_a_witness_that_does_not_cosign_holds_up_neither_the_log_nor_another_witness(
    there: Installation, refusal: httpx.Response | None
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "one":
            return witness_of(0)(request)
        if refusal is None:
            raise httpx.ConnectError("away")
        return refusal

    policy = by_url(POLICY, "http://one", "http://two/below")
    asking = witnessing(there, policy + "group both all one two\nquorum both\n", answering(answer))
    async with running(there.writer("a", witnessing=asking)):
        await there.publish(300)
        await there.reaches(300)
        async with patience():
            while not cosigned_by(parse_note((await there.blobs.get(CHECKPOINT) or b"").decode()), asking.policy):
                await asyncio.sleep(0.02)
    assert await there.blobs.get(WITNESSED) is None
    assert (await verify_log(there.files, there.verifier, policy=asking.policy)).witnessed is None
    assert (await verify_log(there.files, there.verifier, policy=parse_policy(policy + "quorum one\n"))).witnessed is None


def of_its_own(request: httpx.Request) -> httpx.Response:
    """The second witness signs our text and another line below it, by its own key: each half is well-formed."""
    text = parse_note(request.content.decode().partition("\n\n")[2]).text
    longer = cosigned(sign_text(f"{text}\nanother.example/log\n", ORIGIN, KEYS[:1]), 1)
    return httpx.Response(200, text=longer.removeprefix(f"{text}\n"))


@promise("A3")
@pytest.mark.parametrize(
    "answer",
    [
        of_its_own,
        lambda _: httpx.Response(200, content=b"\xff", headers={"content-type": "text/plain; charset=hex"}),
        lambda _: httpx.Response(409, content=b"\xff\xff"),
        lambda _: httpx.Response(302, headers={"location": "http://one/"}),
        lambda _: httpx.Response(200, text="x" * (1 << 20)),
    ],
    ids=["a text of its own", "an encoding that is none", "a size that is no text", "elsewhere", "a megabyte"],
)
async def test_whatever_a_witness_answers_the_others_are_asked_again_and_again(there: Installation, answer: Answers) -> None:
    def answers(request: httpx.Request) -> httpx.Response:
        return witness_of(0)(request) if request.url.host == "one" else answer(request)

    asking = witnessing(there, by_url(POLICY, "http://one", "http://two") + "group g any one two\nquorum g\n", answering(answers))
    async with running(there.writer("a", witnessing=asking)):
        for size in (10, 20):
            await there.publish(10)
            await reached(there, size)
    note = parse_note((await there.blobs.get(WITNESSED) or b"").decode())
    assert list(cosigned_by(note, asking.policy)) == ["one"]


@promise("A3")
async def test_a_witness_that_never_comes_to_its_end_holds_up_no_other_one(there: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    connected = 0

    async def drips(_: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        nonlocal connected
        connected += 1
        to.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while True:
                to.write(b"x")
                await to.drain()
                await asyncio.sleep(0.05)

    async def honest(request: httpx.Request) -> httpx.Response:
        if request.url.host == "one":
            return witness_of(0)(request)
        return await real.handle_async_request(request)

    monkeypatch.setattr("postlaw_audit.witnessing.WITHIN_S", 0.5)
    server, real = await asyncio.start_server(drips, "127.0.0.1", 0), httpx.AsyncHTTPTransport()
    port = server.sockets[0].getsockname()[1]
    policy = by_url(POLICY, "http://one", f"http://127.0.0.1:{port}") + "group g any one two\nquorum g\n"
    asking = witnessing(there, policy, httpx.MockTransport(honest))
    async with running(there.writer("a", witnessing=asking)):
        for size in (10, 20):
            await there.publish(10)
            await reached(there, size)
        async with patience():
            while connected < 2:  # it was given up, and is asked anew
                await asyncio.sleep(0.02)
    server.close()
    await real.aclose()


async def test_cosignatures_that_come_late_never_take_a_newer_checkpoints_place(there: Installation) -> None:
    asking = witnessing(there, by_url(POLICY, "http://one", "http://two") + "quorum one\n", answering(witness_of(0)))
    older = Checkpoint(ORIGIN, 5, bytes(32))
    newer = Checkpoint(ORIGIN, 6, bytes(32))
    asking.publisher.newest = newer, sign(newer, there.key)
    await there.blobs.put(CHECKPOINT, sign(newer, there.key).encode())
    await asking.publisher.join(older, cosigned(sign(older, there.key), 0), enough=True)
    assert await there.size() == 6
    assert await witnessed_size(there) == 5


@pytest.mark.parametrize(
    ("policy", "by", "enough"),
    [
        ("quorum none\n", ["one", "two"], False),
        ("quorum two\n", ["one"], False),
        ("quorum two\n", ["two"], True),
        ("group g any one two\nquorum g\n", ["two"], True),
        ("group g 2 one two # both\nquorum g\n", ["two"], False),
        ("group g all one two\ngroup h any g one\nquorum h\n", ["one"], True),
    ],
)
def test_a_policy_says_how_many_of_whom_are_enough(policy: str, by: list[str], enough: bool) -> None:
    assert parse_policy(f"log {ORIGIN}\n\n{POLICY}{policy}").satisfied(by) is enough


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "quorum nobody\n",
        "quorum one\nquorum two\n",
        "group g 3 one two\nquorum g\n",
        "group g 0 one\nquorum g\n",
        "group one any two\nquorum one\n",
        "group any any two\nquorum two\n",
        "group g any nobody\nquorum g\n",
        "witness three nonsense\nquorum one\n",
        "witness\nquorum one\n",
        f"witness log {verifier_key('x', bytes(32))}\nquorum one\n",
        f"witness plain {verifier_key('x', bytes(32))}\nquorum plain\n",
    ],
)
def test_a_policy_that_cannot_be_read_is_refused(wrong: str) -> None:
    with pytest.raises(PolicyInvalid):
        parse_policy(POLICY + wrong)


def test_a_key_of_another_kind_is_no_witnesss() -> None:
    parse_policy(f"witness three {verifier_key('x', bytes(32), COSIGNATURE)}\nquorum three\n")
