"""Delivery straight to MX, wired by hand. Nothing is opened here."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from postlaw_common.store import Collection
from postlaw_sending.delivery import Relay, TlsPolicy
from postlaw_sending.domains.dns import Dns
from postlaw_sending.mx.exchange import MxExchange
from postlaw_sending.mx.hosts import MailHosts
from postlaw_sending.mx.pools import OwnAddress, Pools
from postlaw_sending.mx.sts import Fetch, Policies
from postlaw_sending.mx.sts_kept import STS_POLICIES, KeptPolicies
from postlaw_sending.mx.warm_up import WARM_UP, WarmUp
from postlaw_sending.worker.routes import Route, Router

COLLECTIONS = (WARM_UP, STS_POLICIES)


@dataclass(frozen=True, slots=True)
class MxSettings:
    """Of this installation. `own`: the names that our servers are known by. `ca`: a PEM file of authorities, "" for the system's.
    `private`: addresses that are not public are mailed to."""

    ehlo: str
    own: frozenset[str]
    port: int
    policy_port: int
    connections: int
    tls: TlsPolicy
    ca: str
    private: bool
    pools: Mapping[str, Sequence[OwnAddress]]


@dataclass(frozen=True, slots=True)
class Straight:
    """What a worker needs to hand mail to the recipients' own servers."""

    exchange: MxExchange
    router: Router


def straight_to_mx(settings: MxSettings, dns: Dns, collection: Callable[[str], Collection], now_us: Callable[[], int]) -> Straight:
    """`collection`: one of COLLECTIONS by its name, opened by the runner."""
    since = {own.address: own.since for pool in settings.pools.values() for own in pool if own.since is not None}
    warm_up = WarmUp(since, lambda: collection(WARM_UP.name), now_us)
    pools = Pools(settings.pools, warm_up.spent)

    def relay(route: Route, host: str, addresses: tuple[str, ...], verified: bool) -> Relay:
        return Relay(
            host,
            settings.port,
            depth=1,  # one message under way: whatever ends a connection leaves nothing open but that
            tls="required" if verified else settings.tls,
            tls_ca=settings.ca,
            ehlo=settings.ehlo,
            addresses=addresses,
            sources=pools.sources(route.pool),
        )

    hosts = MailHosts(dns, settings.own, private=settings.private)
    context = ssl.create_default_context(cafile=settings.ca or None)
    kept = KeptPolicies(lambda: collection(STS_POLICIES.name))
    policies = Policies(dns, Fetch(hosts.addresses, port=settings.policy_port, context=context), kept, now_us)
    return Straight(MxExchange(hosts, policies, relay, settings.connections, warm_up), pools.routes)
