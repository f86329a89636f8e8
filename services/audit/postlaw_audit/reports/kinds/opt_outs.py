"""How long each opt-out took: from when the ledger had it to the answer, by which the mail has stopped or is on record to."""

from __future__ import annotations

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw_audit.reports.kinds.kind import ReportKind, Row, at
from postlaw_audit.reports.kinds.scopes import scope_text
from postlaw_audit.search.events import Event

_REPEATED = -1  # an earlier opt-out stood already: its age is no latency
_STEPS_MS = (10, 30, 100, 300, 1_000, 3_000, 10_000)


def _row(event: Event) -> Row:
    told = consent.WithdrawalAnswered.FromString(event.data)
    withdrawal = told.withdrawal
    since_us, until_us = withdrawal.withdrawn_at.ToMicroseconds(), withdrawal.answered_at.ToMicroseconds()
    latency_ms = _REPEATED if withdrawal.already_withdrawn else max(0, -(-(until_us - since_us) // 1000))
    outcome = consent.Outcome.Name(withdrawal.outcome).removeprefix("OUTCOME_").lower()
    return (
        at(since_us), at(until_us), latency_ms, outcome, "yes" if withdrawal.already_withdrawn else "no", told.address_key.hex(),
        scope_text(withdrawal.scope), withdrawal.relay_may_hold, withdrawal.event_id, event.index,
    )  # fmt: skip


def _cell(row: Row) -> tuple[str, str]:
    latency_ms = int(row[2])
    if latency_ms == _REPEATED:
        return "0|repeated", str(row[3])
    place = next((place for place, step in enumerate(_STEPS_MS) if latency_ms <= step), len(_STEPS_MS))
    return (f"{place + 1}|to {_STEPS_MS[place]} ms" if place < len(_STEPS_MS) else f"{place + 1}|longer"), str(row[3])


OPT_OUTS = ReportKind(
    name="opt_outs",
    title="How long opt-outs took",
    types=("postlaw.consent.WithdrawalAnswered",),
    columns=(
        "withdrawn_at", "answered_at", "latency_ms", "outcome", "repeated", "person", "scope", "relay_may_hold", "event_id", "entry",
    ),
    row=_row,
    cell=_cell,
    counted=("outcome", "repeated"),
    measured="latency_ms",
)  # fmt: skip
