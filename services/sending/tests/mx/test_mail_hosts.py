"""Which servers take a domain's mail, from a DNS on loopback."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from postlaw_sending.domains.dns import DnsUnknown, Resolver
from postlaw_sending.mx.destination import domain_of
from postlaw_sending.mx.hosts import MailHosts, TakesNoMail
from postlaw_sending.testing.dns_server import DnsServer, dns_server


@pytest.fixture
async def dns() -> AsyncGenerator[DnsServer]:
    async with dns_server() as server:
        yield server


def hosts(dns: DnsServer, *, private: bool = False) -> MailHosts:
    return MailHosts(Resolver([dns.address], timeout_s=3.0), frozenset({"mx.ours.example"}), private=private)


async def test_servers_are_tried_by_preference_and_equal_ones_in_any_order(dns: DnsServer) -> None:
    """RFC 5321 §5.1: the lowest number first, and "randomly" among equals."""
    dns.put("a.example", "MX", "20 last.example.", "10 one.example.", "10 two.example.", "10 three.example.")
    found = hosts(dns)
    orders = [[host.name for host in await found.of("a.example")] for _ in range(60)]
    assert {order[-1] for order in orders} == {"last.example"}
    assert len({tuple(order) for order in orders}) == 6


async def test_a_domain_without_mx_is_its_own_server(dns: DnsServer) -> None:
    """RFC 5321 §5.1: the implicit MX."""
    dns.put("b.example", "A", "192.0.2.1")
    assert [host.name for host in await hosts(dns).of("b.example")] == ["b.example"]


@pytest.mark.parametrize(
    ("records", "left"),
    [
        (("10 better.example.", "20 mx.ours.example.", "20 like.example.", "30 worse.example."), ["better.example"]),
        (("5 mx.ours.example.",), []),
    ],
)
async def test_mail_does_not_go_round_to_ourselves(dns: DnsServer, records: tuple[str, ...], left: list[str]) -> None:
    """RFC 5321 §5.1: whoever finds its own name discards it, and all that are no more preferred."""
    dns.put("c.example", "MX", *records)
    if left:
        assert [host.name for host in await hosts(dns).of("c.example")] == left
    else:
        with pytest.raises(TakesNoMail, match=r"^550 5\.4\.6 "):
            await hosts(dns).of("c.example")


async def test_what_the_dns_does_not_answer_is_asked_again(dns: DnsServer) -> None:
    found = hosts(dns)
    dns.troubles["d.example"] = "servfail"
    with pytest.raises(DnsUnknown):
        await found.of("d.example")
    del dns.troubles["d.example"]
    dns.put("d.example", "MX", "10 mx.example.")
    assert [host.name for host in await found.of("d.example")] == ["mx.example"]


async def test_both_families_are_tried_by_turns_and_never_what_is_not_public(dns: DnsServer) -> None:
    dns.put("mx.example", "A", "8.8.4.4", "127.0.0.1", "10.0.0.1", "8.8.8.8", "169.254.169.254")
    dns.put("mx.example", "AAAA", "2001:4860:4860::8888", "::1")
    assert sorted((await hosts(dns).addresses("mx.example"))[1:]) == ["8.8.4.4", "8.8.8.8"]
    assert (await hosts(dns).addresses("mx.example"))[0] == "2001:4860:4860::8888"
    dns.put("own.example", "A", "127.0.0.1")
    assert await hosts(dns, private=True).addresses("own.example") == ("127.0.0.1",)


async def test_an_address_that_only_wraps_a_private_one_is_not_mailed_to(dns: DnsServer) -> None:
    """RFC 6052, RFC 3056; and of IPv4, what is no host's (RFC 5771)."""
    dns.put("wrapped.example", "A", "224.0.0.1")
    dns.put("wrapped.example", "AAAA", "64:ff9b::7f00:1", "2002:7f00:1::")
    assert await hosts(dns).addresses("wrapped.example") == ()


@pytest.mark.parametrize(
    ("address", "domain"),
    [("a@B.Example.", "b.example"), ("a@bücher.example", "xn--bcher-kva.example"), ("a@[127.0.0.1]", ""), ('"x@y"@b.example', "b.example")],
)
def test_a_recipients_domain_in_a_labels(address: str, domain: str) -> None:
    """RFC 5891 §4; an address literal (RFC 5321 §4.1.3) is no domain."""
    assert domain_of(address) == domain
