"""A message to one person, as sending is asked for it: decided on first, and with a way to stop more of its kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from postlaw_consent.domain.form import FormSender
from postlaw_consent.domain.message import Asked
from postlaw_consent.domain.scope import Belongs
from postlaw_consent.ledger import Ledger
from postlaw_consent.use_cases.get_decisions import Decisions, GetDecisions

Template = Literal["confirm_sign_up", "change_details", "confirm_address"]

# One message, nothing promotional in it; the latter also how an address that had bounced shows that it takes mail again.
TRANSACTIONAL = Asked("transactional")
CONFIRMING = Asked("transactional", frozenset({"confirms_address"}))


@dataclass(frozen=True, slots=True)
class Mail:
    """`key`: of what it is for, so that there is one however often it is asked for. `belongs`: to what, so that an opt-out
    of it stops it, as `opt_out_token` does."""

    key: str
    tenant_id: str
    template: Template
    language: str
    sender: FormSender
    belongs: Belongs
    address_key: bytes
    address: str
    action_url: str
    opt_out_token: bytes
    decisions: Decisions
    list_name: str = ""


async def decide_on(
    decide: GetDecisions, ledger: Ledger, asked: Asked, tenant_id: str, belongs: Belongs, address_key: bytes, key: str
) -> tuple[Decisions, bool]:
    """The first gate's answer, and whether it is yes; before anything else is read of the person: a no that comes later closes the
    second gate."""
    partition = ledger.partition_of(tenant_id, address_key)
    decisions = await decide(tenant_id, belongs, asked, partition, [address_key], bulk=False, mint=False, campaign_id=key)
    return decisions, decisions.verdicts[decisions.places[0]].allow
