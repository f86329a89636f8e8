"""Unsubscribe tokens: they say what was sealed, or nothing at all."""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlaw_common.errors import Invalid
from postlaw_common.testing.promises import promise
from postlaw_consent.domain.scope import EVERYTHING, Scope
from postlaw_consent.domain.token import LONGEST_TOKEN, OptOut, pack_message, unpack
from postlaw_consent.tokens import Tokens

PERSON = b"\x01" + bytes(range(32))
LIST = Scope("list", "lst_06d3k5yznp1w9r8g7f6e5d4c3b")
ids = st.text(min_size=1, max_size=30).filter(lambda text: len(text.encode()) <= 64)
scopes = st.one_of(st.just(EVERYTHING), st.builds(Scope, st.sampled_from(("list", "topic", "brand")), ids))


class Ring:
    """Keys by version, as the platform hands them out."""

    def __init__(self, versions: int) -> None:
        self.keys = {version: os.urandom(32) for version in range(1, versions + 1)}
        self.asked = 0

    async def get(self, name: str, version: int = 1, *, create: bool = True) -> bytes:
        self.asked += 1
        return self.keys[version]


async def tokens(ring: Ring, version: int = 1) -> Tokens:
    made = Tokens(ring, version=version)
    await made.start()
    return made


@given(st.binary(min_size=33, max_size=33), ids, scopes, st.one_of(st.just(""), ids))
def test_what_is_packed_is_unpacked(person: bytes, tenant: str, scope: Scope, campaign: str) -> None:
    assert unpack(person + pack_message(tenant, scope, campaign)) == OptOut(tenant, person, scope, campaign)


@given(st.binary(max_size=200))
def test_bytes_that_nobody_packed_are_refused_or_are_exactly_a_packing(noise: bytes) -> None:
    try:
        optout = unpack(noise)
    except ValueError:
        return
    assert optout.address_key + pack_message(optout.tenant_id, optout.scope, optout.campaign_id) == noise


async def test_a_token_opens_to_what_it_was_minted_for() -> None:
    made = await tokens(Ring(1))
    [token] = made.mint("ten_1", LIST, "cmp_1", [PERSON])
    assert await made.open(token.decode()) == OptOut("ten_1", PERSON, LIST, "cmp_1")


async def test_a_token_is_short_fit_for_a_link_and_betrays_nothing() -> None:
    made = await tokens(Ring(1))
    long = "x" * 30
    [one, other] = made.mint("ten_" + "x" * 26, LIST, "cmp_" + "x" * 26, [PERSON, PERSON])
    assert one != other
    assert len(one) <= LONGEST_TOKEN
    assert set(one) <= set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    clear = urlsafe_b64decode(one + b"=" * (-len(one) % 4))
    assert PERSON not in clear
    assert long.encode()[:8] not in clear


async def test_the_longest_name_of_a_brand_fits_a_link() -> None:
    made = await tokens(Ring(1))
    brand = Scope("brand", "\U0001d538" * 63)
    assert brand.problem() is None
    assert Scope("brand", "\U0001d538" * 64).problem()
    assert Scope("brand", "a" * 101).problem()
    [token] = made.mint("ten_" + "x" * 26, brand, "cmp_" + "x" * 26, [PERSON])
    assert (await made.open(token.decode())).scope == brand


async def test_ids_too_long_for_a_link_are_refused_when_minting() -> None:
    made = await tokens(Ring(1))
    with pytest.raises(Invalid):
        made.mint("t" * 200, LIST, "c" * 200, [PERSON])


@promise("M5")
async def test_a_link_of_an_old_key_works_for_good() -> None:
    ring = Ring(2)
    [token] = (await tokens(ring, 1)).mint("ten_1", LIST, "", [PERSON])
    assert (await (await tokens(ring, 2)).open(token.decode())).address_key == PERSON


async def test_a_link_of_a_key_that_another_instance_began_to_use_works_at_once() -> None:
    ring = Ring(2)
    [token] = (await tokens(ring, 2)).mint("ten_1", LIST, "", [PERSON])
    assert (await (await tokens(ring, 1)).open(token.decode())).address_key == PERSON


async def test_every_wrong_token_fails_with_the_same_words() -> None:
    ring = Ring(1)
    made = await tokens(ring)
    token = made.mint("ten_1", LIST, "cmp_1", [PERSON])[0].decode()
    foreign = (await tokens(Ring(1))).mint("ten_1", LIST, "cmp_1", [PERSON])[0].decode()
    flipped = [token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :] for place in range(len(token))]
    wrong = ["", "A", token[:-1], token[:40], token + "A", token + "=", token + "\n", " " + token, "ü" * 100, "A" * 5000, foreign, *flipped]
    said: set[tuple[str, str]] = set()
    for text in wrong:
        with pytest.raises(Invalid) as refused:
            await made.open(text)
        said.add((refused.value.type, refused.value.detail))
    assert len(said) == 1
    assert {type for type, _ in said} == {"bad-token"}


async def test_a_forger_cannot_make_us_ask_for_keys_again_and_again() -> None:
    ring = Ring(1)
    made = await tokens(ring)
    token = made.mint("ten_1", LIST, "", [PERSON])[0].decode()
    asked = ring.asked
    for _ in range(50):
        with pytest.raises(Invalid):
            await made.open("CQ" + token[2:])
    assert ring.asked <= asked + 1
