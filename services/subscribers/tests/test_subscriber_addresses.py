"""Addresses: the library's answers, at speed; outside cases by policy; one person, one key."""

from __future__ import annotations

import hmac
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postlaw_subscribers.addresses import InvalidAddress, by_library, normalise
from postlaw_subscribers.domain.person import AddressIndex, made_under, subscriber_id

# By category of the outside set: may such an address be taken? What a category leaves open is decided by diagnosis.
POLICY = {
    "ISEMAIL_ERR": False,  # not an address
    "ISEMAIL_VALID_CATEGORY": True,
    "ISEMAIL_DNSWARN": True,  # right in form; DNS is not asked
    "ISEMAIL_RFC5321": None,
    "ISEMAIL_CFWS": False,  # comments and folding belong into headers, not into addresses (RFC 5322 §3.4.1)
    "ISEMAIL_DEPREC": False,
    "ISEMAIL_RFC5322": False,  # right in a header, wrong in SMTP
}
BY_DIAGNOSIS = {
    "ISEMAIL_RFC5321_QUOTEDSTRING": True,
    "ISEMAIL_RFC5321_ADDRESSLITERAL": False,  # no public mail is sent to a bare host address
    "ISEMAIL_RFC5321_TLD": False,
    "ISEMAIL_RFC5321_TLDNUMERIC": False,
}
EXCEPTIONS = {
    "test@io": False,  # a single label
    '""@iana.org': False,  # a quoted string of nothing names no mailbox
    # 65 octets as written; the pair is not needed, and without it, as we send it, it has 64
    '"abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz abcdefg\\h"@iana.org': True,
}


def outside_cases() -> list[tuple[str, bool]]:
    tests = ElementTree.parse(Path(__file__).parent / "data" / "isemail.xml").getroot().iter("test")
    cases: list[tuple[str, bool]] = []
    for test in tests:
        text = test.findtext("address") or ""
        address = "".join(chr(ord(c) - 0x2400) if 0x2400 <= ord(c) <= 0x2420 else c for c in text)
        wanted = POLICY[test.findtext("category") or ""]
        if wanted is None:
            wanted = BY_DIAGNOSIS[test.findtext("diagnosis") or ""]
        cases.append((address, EXCEPTIONS.get(address, wanted)))
    return cases


def answer(judge: object, address: str) -> str | None:
    assert callable(judge)
    try:
        return str(judge(address))
    except InvalidAddress:
        return None


def test_the_outside_cases_are_judged_by_policy() -> None:
    cases = outside_cases()
    assert len(cases) == 164
    wrong = [(address, wanted) for address, wanted in cases if (answer(normalise, address) is not None) != wanted]
    assert wrong == []


@settings(max_examples=250, deadline=None)
@given(
    st.one_of(
        st.tuples(st.text("abzAZ09.+-_'!@\" ", max_size=70), st.text("abzAZ09.-", max_size=80)),
        st.tuples(st.text(max_size=20), st.text(max_size=20)),
        st.tuples(st.from_regex(r"[a-z]{60,66}", fullmatch=True), st.from_regex(r"([a-z]{55,64}\.){2,4}com", fullmatch=True)),
        st.tuples(
            st.sampled_from(["ann", "a.b"]), st.sampled_from(["exämple.de", "EXAMPLE.com", "xn--exmple-cua.de", "local", "a.test", "ß.de"])
        ),
    )
)
def test_the_fast_way_gives_exactly_the_librarys_answer(parts: tuple[str, str]) -> None:
    address = "@".join(parts)
    assert answer(normalise, address) == answer(by_library, address)


@pytest.mark.parametrize("address", [address for address, wanted in outside_cases() if wanted])
def test_normalising_twice_changes_nothing(address: str) -> None:
    assert normalise(normalise(address)) == normalise(address)


def test_the_domain_is_lower_case_in_a_labels_and_the_local_part_composed() -> None:
    assert normalise("Ann@EXÄMPLE.de") == "Ann@xn--exmple-cua.de"
    assert normalise("u\u0308@example.com") == "ü@example.com"


def test_an_address_has_one_key_whatever_its_case_and_a_plus_makes_another() -> None:
    index = AddressIndex(1, bytes(32))
    key = index.key_of(normalise("Ann@Example.com"))
    assert len(key) == 33
    assert key[0] == 1
    assert index.key_of(normalise("aNN@example.COM")) == key
    assert index.key_of(normalise("ann+news@example.com")) != key
    assert AddressIndex(1, bytes([1]) * 32).key_of("ann@example.com") != key
    assert index.key_of(normalise("STRASSE-Ü@example.com")) == index.key_of(normalise("strasse-ü@example.com"))


@pytest.mark.parametrize("key", [bytes(32), bytes(range(32))], ids=["zeros", "all different"])
def test_an_address_key_is_the_hmac_that_others_compute(key: bytes) -> None:
    assert AddressIndex(3, key).key_of("ann@example.com") == b"\x03" + hmac.digest(key, b"ann@example.com", "sha256")


def test_a_subscriber_id_leads_to_the_address_key_it_was_made_under() -> None:
    key = bytes(range(33))
    assert made_under(subscriber_id(key, 0)) == key
    assert subscriber_id(key, 0) != subscriber_id(key, 1)
    for wrong in ("", "sub_", "sub_zz", "lst_" + "0" * 70, subscriber_id(key, 0) + "00"):
        assert made_under(wrong) is None


def test_a_refusal_never_repeats_the_address() -> None:
    for address, wanted in outside_cases():
        if not wanted and len(address) > 8:
            with pytest.raises(InvalidAddress) as refused:
                normalise(address)
            assert address not in str(refused.value)
