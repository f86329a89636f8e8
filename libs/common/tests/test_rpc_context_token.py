"""Contexts are believed on identity's keys alone, and go on being believed while identity is away."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from postlaw_common.caller import Actor, Caller
from postlaw_common.errors import Unauthenticated, Unavailable
from postlaw_common.rpc import context_token
from postlaw_common.rpc.context_token import ContextVerifier, TrustedKey, context_message, sign_context

WHO = Caller("ten_1", Actor("service", "sending"), scopes=frozenset({"b", "a"}))


class Identity:
    """Keys by id, a clock, and whether it can be reached."""

    def __init__(self) -> None:
        self.keys: dict[str, Ed25519PrivateKey] = {}
        self.lives: dict[str, tuple[int, int]] = {}
        self.away = False
        self.asked = 0
        self.now_us = time.time_ns() // 1000

    async def source(self) -> Sequence[TrustedKey]:
        self.asked += 1
        if self.away:
            raise Unavailable("identity is away")
        return [TrustedKey(id, key.public_key().public_bytes_raw(), *self.lives.get(id, (0, 0))) for id, key in self.keys.items()]

    def token(self, key_id: str, who: Caller = WHO, *, lives_us: int = 60_000_000) -> bytes:
        key = self.keys.setdefault(key_id, Ed25519PrivateKey.generate())
        return sign_context(key, key_id, context_message(who, issued_at_us=self.now_us, expires_at_us=self.now_us + lives_us))

    def verifier(self) -> ContextVerifier:
        return ContextVerifier(self.source, now_us=lambda: self.now_us)


async def test_a_known_key_works_while_identity_is_down_and_an_unknown_one_is_unavailable_not_forged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(context_token, "_ASK_AGAIN_S", (0.0, 0.0))
    identity = Identity()
    first, verifier = identity.token("k1"), identity.verifier()
    await verifier.verify(first)
    identity.away = True
    other = Caller("ten_2", Actor("user", "usr_1"))
    assert (await verifier.verify(identity.token("k1", other))).tenant_id == "ten_2"
    with pytest.raises(Unavailable):
        await verifier.verify(identity.token("k2"))


async def test_a_rotated_key_is_asked_for_when_it_is_first_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context_token, "_ASK_AGAIN_S", (0.0, 0.0))
    identity = Identity()
    first = identity.token("k1")
    verifier = identity.verifier()
    await verifier.verify(first)
    assert (await verifier.verify(identity.token("k2"))).actor == WHO.actor
    assert identity.asked == 2


async def test_a_context_counts_within_the_life_of_its_key_only() -> None:
    identity = Identity()
    token = identity.token("k1", lives_us=10_000_000)
    identity.lives["k1"] = (0, identity.now_us + 1_000_000)
    verifier = identity.verifier()
    await verifier.verify(token)
    identity.now_us += 2_000_000
    assert verifier.remembered(token) is None
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)


async def test_a_context_from_before_its_key_or_from_the_future_is_refused() -> None:
    identity = Identity()
    early = identity.token("k1")
    identity.lives["k1"] = (identity.now_us + 1, 0)
    with pytest.raises(Unauthenticated):
        await identity.verifier().verify(early)
    identity.lives.clear()
    identity.now_us += 120_000_000
    future = identity.token("k1")
    identity.now_us -= 120_000_000
    with pytest.raises(Unauthenticated):
        await identity.verifier().verify(future)


async def test_the_tokens_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context_token, "_REMEMBERED", 3)
    identity = Identity()
    verifier = identity.verifier()
    tokens = [identity.token("k1", Caller(f"ten_{i}", WHO.actor)) for i in range(5)]
    for token in tokens:
        await verifier.verify(token)
    assert [verifier.remembered(token) is not None for token in tokens] == [False, False, True, True, True]


async def test_a_context_whose_actor_is_of_no_known_kind_is_refused() -> None:
    identity = Identity()
    key = identity.keys["k1"] = Ed25519PrivateKey.generate()
    context = context_message(WHO, issued_at_us=identity.now_us, expires_at_us=identity.now_us + 1_000_000)
    context.actor.ClearField("kind")
    with pytest.raises(Unauthenticated):
        await identity.verifier().verify(sign_context(key, "k1", context))
    with pytest.raises(ValueError, match="no kind of actor"):
        context_message(Caller("ten_1", Actor("ghost", "g")), issued_at_us=0, expires_at_us=1)
