"""The answers as protobuf."""

from __future__ import annotations

from collections.abc import Sequence

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.evidence.account import Statement
from postlaw_audit.evidence.shown import Ours
from postlaw_audit.evidence.words import Told


def answers_to_wire(told: Told, note: str, address_key: bytes) -> audit.EvidenceAnswers:
    checkpoint = told.checkpoint
    return audit.EvidenceAnswers(
        mail=_mail(told.mail) if told.mail else None,
        why_mailed=_statements(told.account.why_mailed),
        opted_out=_statements(told.account.opted_out),
        looked=_statements(told.account.looked),
        searched_below=told.searched_below,
        complete=told.complete,
        checkpoint=audit.Checkpoint(
            origin=checkpoint.origin, size=checkpoint.size, root_hash=checkpoint.root, note=note, witnesses=told.witnesses
        ),
        witnessed=bool(told.witnesses),
        address_key=address_key,
    )


def not_ours_to_wire(reason: str) -> audit.EvidenceAnswers:
    return audit.EvidenceAnswers(mail=audit.ShownMail(ours=False, reason=reason))


def _statements(statements: Sequence[Statement]) -> list[audit.EvidenceStatement]:
    made: list[audit.EvidenceStatement] = []
    for statement in statements:
        index, event_id = _place(statement)
        one = audit.EvidenceStatement(what=statement.what, text=statement.text, index=index, event_id=event_id)
        if statement.at_us:
            one.at.FromMicroseconds(statement.at_us)
        if event_id:
            one.proof = f"/v1/audit/events/{event_id}/proof"
        for detail in statement.details:
            index, event_id = _place(detail)
            one.details.add(what=detail.what, text=detail.text, index=index, event_id=event_id)
        made.append(one)
    return made


def _place(statement: Statement) -> tuple[int, str]:
    return (statement.fact["index"], statement.fact["event_id"]) if statement.fact else (0, "")


def _mail(mail: Ours) -> audit.ShownMail:
    made = audit.ShownMail(
        ours=True,
        message_id=mail.message_id,
        domain=mail.domain,
        selector=mail.selector,
        key_index=mail.key["index"],
        delivery_index=mail.delivery["index"],
        campaign_id=mail.delivery["said"]["campaign_id"],
        body_checked=mail.body_checked,
        attached=mail.attached,
    )
    made.signed_at.FromSeconds(mail.signed_at)
    return made
