"""The receipt of one event of the ledger, as a JSON object still to be signed. Whoever checks a receipt makes it again from the event's own
bytes, and compares.

At its top stand the fields of Kantara's Consent Receipt 1.1.0 (§4.3 header, §4.4 parties, §4.5 services); `record` has the sections and
names of ISO/IEC TS 27560:2023 (§6.3.3 header, §6.3.4 processing, §6.3.6 parties, §6.3.7 events). What was not said is left out.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from postlaw_consent.domain.event import EXPRESS, ConsentEvent, Route
from postlaw_consent.domain.fact import held_by

Json = dict[str, Any]

VERSION = "KI-CR-v1.1.0"  # Kantara §4.3.1
SCHEMA = "postlaw-receipt/1"  # TS 27560 §6.3.3.2; the next one is another number
UNKNOWN = "unknown"  # a jurisdiction: Kantara §4.3.2 wants text there
UNDETERMINED = "und"  # a language (ISO 639-2)

_METHODS: dict[Route, str] = {
    "api": "API",
    "import": "import",
    "one_click": "one-click unsubscribe",
    "page": "page behind the person's own link",
    "mail": "mail of the person",
}
_WITHDRAWAL = "the link in every message, in one click (RFC 8058) or on the page behind it; or by the controller"
_CONSENTS = EXPRESS | {"implied", "tracking_given"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Controller:
    """The customer, as identity knows it. "" where it does not."""

    tenant_id: str
    name: str
    postal_address: str = ""
    territory: str = ""
    contact: str = ""


@dataclass(frozen=True, slots=True)
class Beside:
    """What a receipt says that is not in the event: whose it was, the notice's language where the act did not say, the list's name."""

    controller: Controller
    language: str = ""
    service: str = ""


def receipt_of(event: ConsentEvent, beside: Beside) -> Json:
    said, controller = event.particulars, beside.controller
    subject = event.address_key.hex()  # a keyed hash (HMAC-SHA-256 under the customer's index key): names nobody who is not known already
    language = said.language or beside.language or UNDETERMINED
    method = said.method or _METHODS[event.route]
    purposes = list(said.purposes) or ["mail of " + event.scope.key]
    consent_type = _consent_type(event)
    contact = controller.contact
    receipt: Json = {
        "version": VERSION,
        "jurisdiction": ", ".join(sorted(said.territories)) or UNKNOWN,
        "consentTimestamp": event.at_us // 1_000_000,  # seconds (§4.3.3); record.events has microseconds
        "collectionMethod": method,
        "consentReceiptID": event.event_id,
        "language": language,
        "piiPrincipalId": subject,
        "piiControllers": [
            {
                "piiController": controller.name,
                "contact": contact,
                "address": _stated(streetAddress=controller.postal_address, addressCountry=controller.territory),
                "email": contact if "@" in contact else "",
                "phone": contact if contact.startswith("+") else "",
            }
        ],
        "services": [
            {
                "service": beside.service or event.scope.key,
                "purposes": [
                    {
                        "purpose": purpose,
                        "purposeCategory": ["Marketing"],
                        "consentType": consent_type,
                        "piiCategory": ["Contact"],
                        "primaryPurpose": place == 0,
                        "termination": "until withdrawn, or until the law ends it" if event.kind in _CONSENTS else "from this act on",
                        "thirdPartyDisclosure": False,
                    }
                    for place, purpose in enumerate(purposes)
                ],
            }
        ],
        "sensitive": False,
        "spiCat": [],
        "record": {
            "schema_version": SCHEMA,
            "record_id": event.event_id,
            "pii_principal_id": subject,
            "pii_processing": _stated(
                privacy_notice=event.notice_hash.hex(),
                language=language,
                purposes=purposes,
                lawful_basis=said.lawful_basis or ("consent" if event.kind in _CONSENTS else ""),
                pii_information=[{"pii_type": "e-mail address"}],
                pii_controllers=[controller.tenant_id],
                collection_method=method,
                services=[event.scope.key],
                jurisdiction=sorted(said.territories),
                withdrawal_method=_WITHDRAWAL,
            ),
            "party_identification": _parties(event, controller),
            "events": [_event(event, consent_type)],
        },
    }
    if event.notice_hash:
        receipt["policyUrl"] = "ni:///sha-256;" + base64.urlsafe_b64encode(event.notice_hash).decode().rstrip("=")  # RFC 6920
    return receipt


def beside_of(receipt: Json) -> Beside:
    """What a receipt says beside its event. KeyError, IndexError or TypeError where it has not the form of one."""
    party, address = receipt["record"]["party_identification"][0], receipt["piiControllers"][0]["address"]
    controller = Controller(
        tenant_id=party["party_id"],
        name=party.get("party_name", ""),
        postal_address=party.get("party_address", ""),
        territory=address.get("addressCountry", ""),
        contact=party.get("party_contact", ""),
    )
    return Beside(controller, receipt["language"], receipt["services"][0]["service"])


def _consent_type(event: ConsentEvent) -> str:
    """Kantara §4.5.6: explicit, or how else."""
    if event.kind == "implied":
        return f"IMPLICIT: {event.particulars.relationship}"
    return "EXPLICIT" if event.kind in _CONSENTS else f"NONE: {event.kind}"


def _parties(event: ConsentEvent, controller: Controller) -> list[Json]:
    parties = [
        _stated(
            party_id=controller.tenant_id,
            party_name=controller.name,
            party_address=controller.postal_address,
            party_contact=controller.contact,
            party_role="pii_controller",
        )
    ]
    if event.particulars.controller:
        parties.append({"party_name": event.particulars.controller, "party_role": "asked for the consent"})
    return parties


def _event(event: ConsentEvent, consent_type: str) -> Json:
    """TS 27560 §6.3.7, and what else the ledger has of it."""
    said = event.particulars
    sealed = {"profile": event.sealed_profile_evidence, "proof": event.sealed_proof_evidence, "attestation": event.sealed_attestation}
    return _stated(
        event_time=_time(event.at_us),
        event_type=consent_type,
        event_state=event.kind,
        entity_id=str(event.actor),
        on_behalf_of=str(event.on_behalf_of or ""),
        recorded_time=_time(event.recorded_at_us),
        version=event.version,
        scope=event.scope.key,
        route=event.route,
        source=event.source,
        grade=said.grade or ("attested" if event.route == "import" else "captured"),
        evidence_held=sorted(held_by(event)),
        evidence_denied=sorted(said.denied),
        evidence_sealed=[name for name, there in sealed.items() if there],
        relationship=said.relationship,
        ended_time=_time(said.ended_us),
        until_time=_time(said.until_us),
        refers_to=said.refers_to,
        objection=said.objection,
        recipient_kind=said.recipient_kind,
        address_kind=said.address_kind,
        time_zone=said.time_zone,
        campaign_id=event.campaign_id,
    )


def _stated(**fields: Any) -> Json:
    return {name: value for name, value in fields.items() if value not in ("", [], None)}


def _time(us: int | None) -> str:
    """RFC 3339 in UTC, to the microsecond."""
    if us is None:
        return ""
    return (_EPOCH + timedelta(microseconds=us)).isoformat(timespec="microseconds").replace("+00:00", "Z")
