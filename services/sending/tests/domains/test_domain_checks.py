"""What a check makes of the DNS: each record right, wrong, double, missing, and not to be had. dnspython asks a server on loopback."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import get_args

import pytest

from postlaw_common.testing.promises import promise
from postlaw_sending.domains.checking import Checking, Expected
from postlaw_sending.domains.dns import DnsUnknown, Resolver
from postlaw_sending.domains.domain.sender_domain import Algorithm, Check, DkimKey, Result, SenderDomain
from postlaw_sending.domains.spf import Spf, check_host
from postlaw_sending.testing.dns_server import DnsServer, Trouble, dns_server

RSA_RECORD, ED_RECORD = "v=DKIM1; k=rsa; p=" + "QUJD" * 98, "v=DKIM1; k=ed25519; p=QUJD"
KEYS = (DkimKey("k", Algorithm.RSA, RSA_RECORD, 1, 1, b""), DkimKey("ke", Algorithm.ED25519, ED_RECORD, 1, 1, b""))
DOMAIN = SenderDomain("ten_1", "news.shop.example", KEYS)


@pytest.fixture
async def server() -> AsyncGenerator[DnsServer]:
    """With everything that `news.shop.example` needs."""
    async with dns_server() as made:
        made.put_text("k._domainkey.news.shop.example", RSA_RECORD)
        made.put_text("ke._domainkey.news.shop.example", ED_RECORD)
        made.put_text("news.shop.example", "v=spf1 include:_spf.mail.example -all")
        made.put_text("_spf.mail.example", "v=spf1 ip4:192.0.2.0/28 ip6:2001:db8::/32 ?all")
        made.put_text("_dmarc.shop.example", "v=DMARC1; p=none")
        made.put("news.shop.example", "MX", "10 mx.shop.example.")
        made.put("mx.shop.example", "AAAA", "2001:db8::7")
        made.put("3.2.0.192.in-addr.arpa", "PTR", "other.mail.example.", "out.mail.example.")
        made.put("out.mail.example", "A", "192.0.2.3")
        yield made


def resolver(server: DnsServer) -> Resolver:
    return Resolver([server.address], timeout_s=1.0)  # an answer comes from this very process: only silence lasts so long


async def results(server: DnsServer, expected: Expected | None = None) -> dict[str, Check]:
    found = await Checking(resolver(server), expected or Expected(["192.0.2.3"], "_spf.mail.example", "out.mail.example"))(DOMAIN)
    return {check.id: check for check in found.checks}


async def test_a_domain_with_everything_passes_everything(server: DnsServer) -> None:
    """DMARC is its organisation's (RFC 7489 §6.6.3), SPF that of its return path (RFC 7208 §2.4)."""
    checks = await results(server)
    ids = ("dkim:k", "dkim:ke", "spf", "dmarc", "mx", "fcrdns:192.0.2.3")
    assert {id: check.result for id, check in checks.items()} == dict.fromkeys(ids, Result.OK)


def null_mx(server: DnsServer) -> None:
    """It is to stand alone: beside another, nobody knows which of them counts."""
    server.put("news.shop.example", "MX", "0 .", "10 mx.shop.example.")


Change = Callable[[DnsServer], None]


@promise("M1")
@pytest.mark.parametrize(
    ("change", "id", "result"),
    [
        pytest.param(lambda s: s.put("k._domainkey.news.shop.example", "TXT"), "dkim:k", Result.FAIL, id="no DKIM record"),
        pytest.param(lambda s: s.put_text("k._domainkey.news.shop.example", "v=DKIM1; p=QUJD"), "dkim:k", Result.FAIL, id="another key"),
        pytest.param(lambda s: s.put_text("k._domainkey.news.shop.example", "v=DKIM1; p="), "dkim:k", Result.FAIL, id="revoked"),
        pytest.param(
            lambda s: s.put_text("k._domainkey.news.shop.example", RSA_RECORD.replace("k=rsa; ", " ")),
            "dkim:k",
            Result.OK,
            id="no k=",
        ),
        pytest.param(
            lambda s: s.put_text("k._domainkey.news.shop.example", " v = DKIM1 ;p=" + RSA_RECORD[18:200] + " \t" + RSA_RECORD[200:] + ";"),
            "dkim:k",
            Result.OK,
            id="spaces wherever they may be",
        ),
        pytest.param(lambda s: s.put("ke._domainkey.news.shop.example", "TXT"), "dkim:ke", Result.WARN, id="no Ed25519"),
        pytest.param(lambda s: s.put("news.shop.example", "TXT"), "spf", Result.FAIL, id="no SPF"),
        pytest.param(lambda s: s.put("news.shop.example", "TXT", '"v=spf1 -all"', '"v=spf1 +all"'), "spf", Result.FAIL, id="two SPF"),
        pytest.param(lambda s: s.put_text("news.shop.example", "v=spf1 -all"), "spf", Result.FAIL, id="SPF without us"),
        pytest.param(lambda s: s.put("_dmarc.shop.example", "TXT"), "dmarc", Result.FAIL, id="no DMARC"),
        pytest.param(
            lambda s: s.put("_dmarc.shop.example", "TXT", '"v=DMARC1; p=none"', '"v=DMARC1; p=no"'),
            "dmarc",
            Result.FAIL,
            id="2 DMARC",
        ),
        pytest.param(null_mx, "mx", Result.FAIL, id="null MX, RFC 7505"),
        pytest.param(lambda s: s.put("3.2.0.192.in-addr.arpa", "PTR"), "fcrdns:192.0.2.3", Result.WARN, id="no PTR"),
        pytest.param(lambda s: s.put("out.mail.example", "A", "192.0.2.4"), "fcrdns:192.0.2.3", Result.WARN, id="not led back"),
        pytest.param(
            lambda s: s.put("3.2.0.192.in-addr.arpa", "PTR", "nobody.example."), "fcrdns:192.0.2.3", Result.WARN, id="a PTR to nowhere"
        ),
        pytest.param(lambda s: s.put("mx.shop.example", "AAAA"), "mx", Result.FAIL, id="MX without an address"),
        pytest.param(lambda s: s.put("news.shop.example", "MX"), "mx", Result.FAIL, id="neither MX nor address"),
    ],
)
async def test_each_check_tells_what_is_wrong_and_what_to_do(server: DnsServer, change: Change, id: str, result: Result) -> None:
    """RFC 6376 §3.2 and §3.6.1 for keys, RFC 7489 §6.6.3 for DMARC, RFC 8601 §2.7.3 and RFC 5321 §4.1.4 for addresses and their names."""
    change(server)
    check = (await results(server))[id]
    assert check.result is result
    assert bool(check.what_to_do) == (result is not Result.OK)


@pytest.mark.parametrize("trouble", get_args(Trouble))
async def test_no_answer_is_unknown_and_not_a_failure(server: DnsServer, trouble: Trouble) -> None:
    for name in ("k._domainkey.news.shop.example", "_spf.mail.example", "_dmarc.news.shop.example", "mx.shop.example"):
        server.troubles[name] = trouble
    checks = await results(server)
    assert {id for id, check in checks.items() if check.result is Result.UNKNOWN} == {"dkim:k", "spf", "dmarc", "mx"}
    with pytest.raises(DnsUnknown):
        await resolver(server).texts("k._domainkey.news.shop.example")


async def test_where_a_relay_sends_spf_needs_only_to_be_there(server: DnsServer) -> None:
    server.put_text("news.shop.example", "v=spf1 ip4:198.51.100.1 -all")
    assert (await results(server, Expected()))["spf"].result is Result.OK
    assert (await results(server, Expected(include="_spf.mail.example")))["spf"].result is Result.FAIL


@pytest.mark.parametrize(
    ("record", "address", "answer"),
    [
        ("v=spf1 a/28 -all", "192.0.2.5", Spf.ALLOWED),  # §5.3
        ("v=spf1 mx -all", "2001:db8::7", Spf.ALLOWED),  # §5.4
        ("v=spf1 mx:other.example -all", "2001:db8::7", Spf.FAIL),
        ("v=spf1 ~all", "192.0.2.5", Spf.SOFTFAIL),
        ("v=spf1 " + "ip4:198.51.100.1 " * 20 + "a/28 -all", "192.0.2.5", Spf.ALLOWED),  # §3.3: two strings, joined as they are
        ("v=spf1 ptr exists:%{i}.example -all", "192.0.2.5", Spf.FAIL),  # §5.5
        ("v=spf1", "192.0.2.5", Spf.NEUTRAL),  # §4.7
        ("v=spf1 redirect=_spf.mail.example", "192.0.2.5", Spf.ALLOWED),  # §6.1
        ("v=spf1 redirect=nowhere.example", "192.0.2.5", Spf.PERMERROR),
        ("v=spf1 include:nowhere.example +all", "192.0.2.5", Spf.PERMERROR),  # §5.2
        ("v=spf1 ip4:192.0.2.300 -all", "192.0.2.5", Spf.PERMERROR),
        ("v=spf1 include:spf.example -all", "192.0.2.5", Spf.PERMERROR),  # §4.6.4: it includes itself
        ("v=spf10 +all", "192.0.2.5", Spf.NONE),  # §4.5
    ],
)
async def test_spf_is_judged_as_rfc_7208_has_it(server: DnsServer, record: str, address: str, answer: Spf) -> None:
    """RFC 7208 §4, with §3.3, §4.5, §4.6.4, §5.2, §5.3, §5.4, §5.5 and §6.1."""
    server.put_text("spf.example", record)
    server.put("spf.example", "A", "192.0.2.1")
    server.put("spf.example", "MX", "10 mx.shop.example.")
    assert await check_host(resolver(server), "spf.example", address) is answer


@pytest.mark.parametrize("wrong", ["ns.example", "127.0.0.1:x", "192.0.2"])
def test_a_name_server_is_named_by_its_address(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Resolver([wrong])


@promise("M1")
@pytest.mark.parametrize(
    ("bimi", "policy", "result"),
    [
        ((), "reject", None),
        (("v=BIMI1; l=https://shop.example/logo.svg",), "reject", Result.OK),
        (("v=BIMI1; l=; a=",), "none", Result.OK),  # it says that there is none
        (("v=BIMI1; l=https://shop.example/logo.svg",), "none", Result.WARN),
        (("v=BIMI1; l=http://shop.example/logo.svg",), "reject", Result.WARN),
        (("v=BIMI1; l=https://shop.example/a.svg", "v=BIMI1; l=https://shop.example/b.svg"), "reject", Result.WARN),
    ],
)
async def test_a_logo_that_no_provider_would_show_is_warned_of_and_nobody_has_to_have_one(
    bimi: tuple[str, ...], policy: str, result: Result | None, server: DnsServer
) -> None:
    server.put_text("_dmarc.shop.example", f"v=DMARC1; p={policy}")
    server.put("default._bimi.news.shop.example", "TXT", *(f'"{text}"' for text in bimi))
    found = (await results(server)).get("bimi")
    assert (found.result if found else None) is result
