"""The vocabulary of law files, facts and decisions. A word that is not here is refused, by the loader and by the reader of cases."""

from __future__ import annotations

from typing import Literal, get_args

Class = Literal["commercial", "transactional"]
MessageClass = Literal["commercial", "transactional", "mixed", "consent_request"]
RecipientKind = Literal["natural", "legal"]
AddressKind = Literal["personal", "named_business", "impersonal"]
SenderKind = Literal["business", "registered_charity", "nonprofit_club"]

RouteEvent = Literal[
    "express_consent", "purchase", "inquiry", "contract", "subscription", "account", "membership", "donation", "volunteer",
    "support_interest", "address_published", "address_disclosed", "referral",
]  # fmt: skip
EventType = Literal[
    RouteEvent, "unsubscribe", "withdraw_consent", "objection", "complaint", "erasure", "restricted", "paused", "bounced", "platform",
    "tracking_consent", "tracking_withdrawal", "message_sent",
]  # fmt: skip
Evidence = Literal[
    "affirmative_act", "proof_ref", "purpose", "requester_named", "withdrawal_info", "separate", "contact_shown", "wording_version",
    "obtained_by_sender", "refusal_offered", "negotiation", "no_refusal_statement", "published_by_agreement", "referrer_name",
]  # fmt: skip
MessageFact = Literal[
    "similar", "relevant_to_role", "relates_to_relationship", "subject_commercial", "transactional_first", "sole_charitable_purpose",
    "primary_purpose_fundraising", "own_goods", "discloses_referrer", "confirms_address",
]  # fmt: skip
Defect = Literal[
    "no_sender_identity", "no_postal_address", "no_contact_method", "no_unsubscribe", "no_all_option", "no_ad_label",
    "misleading_header", "misleading_subject", "unsub_requires_login", "unsub_fee", "unsub_extra_data", "unsub_multi_page",
]  # fmt: skip
Duty = Literal[
    "sender_identity", "postal_address", "contact_method", "unsubscribe", "stop_everything_choice", "ad_label", "accurate_header",
    "accurate_subject", "unsubscribe_without_login", "unsubscribe_without_fee", "unsubscribe_without_extra_data",
    "unsubscribe_on_one_page", "recognisable_as_advertising", "right_to_object", "confirm_opt_out", "one_click_header",
]  # fmt: skip
Basis = Literal[
    "express_consent", "opt_out_regime", "soft_opt_in", "charity_soft_opt_in", "corporate_subscriber", "legal_person_opt_out",
    "implied_ebr_purchase", "implied_ebr_contract", "implied_ebr_subscription", "implied_ebr_inquiry", "implied_enbr",
    "implied_published", "implied_disclosed", "referral_first_message", "inferred_relationship", "inferred_published",
    "designated_message", "exempt_charity_fundraising", "transactional",
]  # fmt: skip

Provider = Literal["gmail", "yahoo", "microsoft"]
Requirement = Literal[
    "spf", "dkim", "dmarc", "from_aligned_with_spf_or_dkim", "forward_and_reverse_dns", "tls", "list_unsubscribe_https",
    "list_unsubscribe_post_one_click", "list_unsubscribe_signed_by_dkim", "visible_unsubscribe_link",
]  # fmt: skip
RequestType = Literal[
    "access", "rectification", "erasure", "restriction", "portability", "objection", "automated_decision", "withdrawal",
]  # fmt: skip
StartsWith = Literal["identity_info_received", "fee_paid"]
Pause = Literal["identity", "clarify"]

# What a message must carry so that it has not the defect.
DUTY_OF: dict[Defect, Duty] = {
    "no_sender_identity": "sender_identity",
    "no_postal_address": "postal_address",
    "no_contact_method": "contact_method",
    "no_unsubscribe": "unsubscribe",
    "no_all_option": "stop_everything_choice",
    "no_ad_label": "ad_label",
    "misleading_header": "accurate_header",
    "misleading_subject": "accurate_subject",
    "unsub_requires_login": "unsubscribe_without_login",
    "unsub_fee": "unsubscribe_without_fee",
    "unsub_extra_data": "unsubscribe_without_extra_data",
    "unsub_multi_page": "unsubscribe_on_one_page",
}

# Evidence whose absence has a code of its own, in the order in which it is looked at.
CODE_OF_EVIDENCE: dict[Evidence, str] = {"obtained_by_sender": "NOT_OBTAINED_BY_SENDER", "refusal_offered": "REFUSAL_NOT_OFFERED"}

# What a route asks of the message, and the code where the message has it not.
CODE_OF_MESSAGE_FACT: dict[MessageFact, str] = {
    "similar": "NOT_SIMILAR",
    "sole_charitable_purpose": "NOT_SOLE_PURPOSE",
    "relevant_to_role": "NOT_RELEVANT",
    "relates_to_relationship": "NOT_RELEVANT",
    "discloses_referrer": "REFERRER_NOT_DISCLOSED",
}

EXPRESS: RouteEvent = "express_consent"
STRICTEST = "ZZ"
EVERYTHING = "*"

MESSAGE_CLASSES: frozenset[str] = frozenset(get_args(MessageClass))
SENDER_KINDS: frozenset[str] = frozenset(get_args(SenderKind))
ROUTE_EVENTS: frozenset[str] = frozenset(get_args(RouteEvent))
EVIDENCE: frozenset[str] = frozenset(get_args(Evidence))

# What a customer calls a relationship, and the event of the route tables that it is.
RELATIONSHIPS: dict[str, RouteEvent] = {
    "purchase": "purchase", "contract": "contract", "subscription": "subscription", "account": "account", "inquiry": "inquiry",
    "application": "inquiry", "membership": "membership", "donation": "donation", "volunteering": "volunteer", "volunteer": "volunteer",
    "publication": "address_published", "address_published": "address_published", "disclosure": "address_disclosed",
    "address_disclosed": "address_disclosed", "support_interest": "support_interest", "referral": "referral",
}  # fmt: skip

# Evidence that follows from what is kept of an act, so that nobody can claim it; and what a customer can.
DERIVED: frozenset[str] = frozenset({"proof_ref", "wording_version"})
CLAIMABLE = EVIDENCE - DERIVED
MESSAGE_FACTS: frozenset[str] = frozenset(get_args(MessageFact))
# What a customer may say of a message: that somebody has just asked for it, to show that the address is theirs, we alone know.
STATED_FACTS: frozenset[str] = MESSAGE_FACTS - {"confirms_address"}
