"""Sender domains' protobuf on one side, plain values on the other."""

from __future__ import annotations

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.caller import Actor
from postlaw_sending.campaigns.wire import actor_to_wire, timestamp
from postlaw_sending.domains.domain.sender_domain import Check, DkimKey, Result, SenderDomain, State

DOMAINS = "postlaw.sending.domains.v1"
DOMAIN_CHANGED = "postlaw.sending.SenderDomainChanged"

_STATES = {
    State.UNVERIFIED: sending.SenderDomain.STATE_UNVERIFIED,
    State.VERIFIED: sending.SenderDomain.STATE_VERIFIED,
    State.FAILING: sending.SenderDomain.STATE_FAILING,
}
_RESULTS = {
    Result.OK: sending.DomainCheck.RESULT_PASS,
    Result.WARN: sending.DomainCheck.RESULT_WARN,
    Result.FAIL: sending.DomainCheck.RESULT_FAIL,
    Result.UNKNOWN: sending.DomainCheck.RESULT_UNKNOWN,
}


def domain_to_wire(domain: SenderDomain) -> sending.SenderDomain:
    """Without its private keys."""
    return sending.SenderDomain(
        tenant_id=domain.tenant_id,
        domain=domain.domain,
        state=_STATES[domain.state],
        dns_records=[_record(domain, key) for key in domain.keys],
        checks=map(_check, domain.checks),
        created_at=timestamp(domain.created_at_us),
        checked_at=timestamp(domain.checked_at_us),
        version=domain.version,
    )


def changed(domain: SenderDomain, actor: Actor | None) -> bytes:
    """A SenderDomainChanged of this version."""
    return sending.SenderDomainChanged(
        tenant_id=domain.tenant_id,
        domain=domain.domain,
        state=_STATES[domain.state],
        failed=[_check(check) for check in domain.checks if check.result is Result.FAIL],
        selectors=[key.selector for key in domain.signing],
        version=domain.version,
        actor=actor_to_wire(actor) if actor else None,
        keys=map(_public, domain.keys),
    ).SerializeToString()


def _record(domain: SenderDomain, key: DkimKey) -> sending.DnsRecord:
    use = sending.DnsRecord.USE_WAITS
    if key.superseded_at_us:
        use = sending.DnsRecord.USE_ENDS
    elif key in domain.signing:
        use = sending.DnsRecord.USE_SIGNS
    return sending.DnsRecord(name=f"{key.selector}._domainkey.{domain.domain}", type="TXT", value=key.record, use=use)


def _public(key: DkimKey) -> sending.DkimPublicKey:
    return sending.DkimPublicKey(
        selector=key.selector,
        record=key.record,
        made_at_us=key.made_at_us,
        published_at_us=key.published_at_us,
        superseded_at_us=key.superseded_at_us,
    )


def _check(check: Check) -> sending.DomainCheck:
    return sending.DomainCheck(
        id=check.id, result=_RESULTS[check.result], expected=check.expected, found=check.found, what_to_do=check.what_to_do
    )
