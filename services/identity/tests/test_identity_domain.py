from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlaw_common.contracts import every_message
from postlaw_common.rpc.method_table import policies_of
from postlaw_common.testing.promises import promise
from postlaw_identity import wire
from postlaw_identity.domain import scopes
from postlaw_identity.domain.api_key import ApiKey, State, compose, keyed_hash, same_hash, visible_prefix, well_formed
from postlaw_identity.domain.key_ring import CLOCKS_DIFFER_US, RING_KNOWN_US, TOKEN_LIFE_US, KeyRing, SigningKey, first_ring
from postlaw_identity.domain.tenant import SenderIdentity, Tenant

TIMES = st.integers(min_value=1, max_value=250_000_000_000 * 1_000_000)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
KEYS = st.builds(compose, st.binary(min_size=5, max_size=5), st.binary(min_size=20, max_size=20))
API_KEYS = st.builds(
    ApiKey,
    api_key_id=WORDS,
    tenant_id=WORDS,
    name=WORDS,
    scopes=st.lists(WORDS, max_size=5).map(tuple),
    prefix=WORDS,
    created_us=TIMES,
    expires_us=st.just(0) | TIMES,
    revoked_us=st.just(0) | TIMES,
    version=st.integers(0, 2**62),
)
LEAD = 600_000_000


def signing_key(name: str, signs_from_us: int) -> SigningKey:
    return SigningKey(name, b"p" * 32, b"w", signs_from_us - LEAD, signs_from_us)


@given(API_KEYS)
def test_an_api_key_comes_back_from_the_wire_the_same(key: ApiKey):
    assert wire.api_key_of(wire.api_key_message(key)) == key


SENDERS = st.builds(SenderIdentity, territory=WORDS, kind=WORDS.filter(bool), time_zone=WORDS, contact=WORDS)
TENANTS = st.builds(
    Tenant,
    tenant_id=WORDS,
    name=WORDS,
    postal_address=WORDS,
    created_us=TIMES,
    sender_identity=SENDERS,
    version=st.integers(0, 2**62),
)


@given(TENANTS)
def test_a_tenant_comes_back_from_the_wire_the_same(tenant: Tenant):
    assert wire.tenant_of(wire.tenant_message(tenant)) == tenant


@pytest.mark.parametrize(
    ("field", "right", "wrong"),
    [
        ("territory", ("", "IE", "GB", "TW", "AX"), ("UK", "ie", "IRL", "ZZ", "EU", "I", "I\n", "١٢")),
        ("kind", ("business", "registered_charity", "nonprofit_club"), ("", "Business", "charity")),
        ("time_zone", ("", "UTC", "Europe/Dublin", "America/Argentina/Ushuaia"), ("Europe", "Dublin", "../UTC", "/etc/localtime", "UTC+1")),
        ("contact", ("", "+353 1 234 5678", "Ask us: søren@example.com"), ("a\nb", "a\rb", "a\u2028b", " a", "a ", " ", "\0")),
    ],
)
def test_where_a_customer_stands_is_said_in_words_that_the_law_knows(field: str, right: tuple[str, ...], wrong: tuple[str, ...]):
    for value in right:
        assert SenderIdentity(**{field: value}).wrong() == {}
    for value in wrong:
        assert list(SenderIdentity(**{field: value}).wrong()) == [field], value


@given(KEYS)
def test_a_key_of_ours_is_well_formed_and_shows_only_its_prefix(key: str):
    assert well_formed(key)
    assert len(key) == 57
    assert visible_prefix(key) == key[:16]


@given(KEYS, st.integers(0, 56), st.sampled_from(string.printable))
def test_a_key_with_one_wrong_character_is_told_by_its_checksum(key: str, place: int, wrong: str):
    mistyped = key[:place] + wrong + key[place + 1 :]
    assert well_formed(mistyped) == (mistyped == key)


@given(KEYS, st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_a_hash_tells_nothing_without_the_pepper(key: str, pepper: bytes, other: bytes):
    assert same_hash(keyed_hash(key, pepper), keyed_hash(key, pepper))
    assert (keyed_hash(key, pepper) == keyed_hash(key, other)) == (pepper == other)


def test_a_key_is_good_until_it_expires_or_is_revoked():
    def state(now_us: int, *, expires_us: int = 0, revoked_us: int = 0) -> State:
        return ApiKey("key_1", "ten_1", "n", (), "pl_live_", 1, expires_us, revoked_us).state(now_us)

    assert state(10) is State.GOOD
    assert state(9, expires_us=10) is State.GOOD
    assert state(10, expires_us=10) is State.EXPIRED
    assert state(9, expires_us=10, revoked_us=5) is State.REVOKED


@given(st.lists(st.integers(1, 10 * LEAD), min_size=1, max_size=6), st.integers(0, 10 * LEAD), st.integers(0, TOKEN_LIFE_US))
def test_whatever_was_signed_is_believed_until_it_lapses_through_any_rotations(pauses: list[int], signed_after: int, age: int):
    now, ring = 1_000 * LEAD, first_ring(signing_key("k0", 1_000 * LEAD))
    rings: list[tuple[int, KeyRing]] = [(now, ring)]
    for n, pause in enumerate(pauses, 1):
        now += pause
        if ring.coming(now) is None:
            ring = ring.rotated(signing_key(f"k{n}", now + LEAD), now)
            rings.append((now, ring))
    signed_at = 1_000 * LEAD + signed_after
    # The signer's ring may be as old as identity allows itself to be.
    known = [ring for made, ring in rings if made <= max(signed_at - RING_KNOWN_US, rings[0][0])][-1]
    signer = known.signer(signed_at)
    checked_at = signed_at + age
    verifiers = [ring for made, ring in rings if made <= checked_at][-1]
    believed = {key.key_id: key for key in verifiers.published(checked_at)}
    assert signer.key_id in believed
    assert believed[signer.key_id].not_before_us <= signed_at


def test_a_new_key_is_published_before_it_signs_and_the_old_ones_seed_goes_with_its_end():
    old, new, third = signing_key("old", 0), signing_key("new", LEAD), signing_key("third", 10 * LEAD)
    ring = first_ring(old).rotated(new, 1)
    assert [key.key_id for key in ring.published(1)] == ["old", "new"]
    assert ring.signer(LEAD - 1).key_id == "old"
    assert ring.signer(LEAD).key_id == "new"
    assert ring.coming(LEAD - 1) == new
    assert ring.coming(LEAD) is None
    end = LEAD + RING_KNOWN_US + TOKEN_LIFE_US + CLOCKS_DIFFER_US
    assert [key.key_id for key in ring.published(end - 1)] == ["old", "new"]
    assert [key.key_id for key in ring.published(end)] == ["new"]
    assert [key.key_id for key in ring.rotated(third, end).keys] == ["new", "third"]


@promise("X6")
def test_every_scope_that_a_method_asks_for_is_known_here_and_every_known_one_is_asked_for():
    files = {message.file for message in every_message()}
    services = [service for file in files for service in file.services_by_name.values()]
    asked = {scope for service in services for policy in policies_of(service.full_name).values() for scope in policy.scopes}
    assert asked == scopes.CUSTOMER | scopes.INNER | {scopes.PLATFORM_ADMIN}
