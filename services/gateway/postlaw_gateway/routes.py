"""The route table: all of REST in one list. Scopes and the need of a context come from the contract's own method options.

Longer than most: it is that list, a line or two for each way in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from postlaw_gateway.clients import Method, method


class Kind(Enum):
    """How a route carries its bytes: JSON both ways, an upload of CSV, a download of a file."""

    JSON = "json"
    UPLOAD = "upload"
    DOWNLOAD = "download"


_MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "pdf": "application/pdf",
    "zip": "application/zip",
}


@dataclass(frozen=True)
class Route:
    """One route. `path` parameters name request fields; on GET the query names the others, else the JSON body does.

    `hidden` are request fields (dotted) that no caller sets; `fixed` sets enum fields by value name. `location` is the new thing's
    path, by fields of the answer. `reveals` are RESTRICTED fields that the answer exists to show; `forgets`: those of them that are shown
    this once, so that no stored answer has them.
    `operation` names it where several routes lead to one method; `description` is what the reference says beyond the summary.
    `key_field` takes the name of the deed that the Idempotency-Key stands for. `fresh_s`: a NotFound on an id younger than this is no
    sign of prying, since the thing appears a moment after its id does. `personal`: it shows what is kept of people, so
    that who was shown it is noted before."""

    verb: str
    path: str
    rpc: str
    summary: str
    tag: str
    status: int = 200
    kind: Kind = Kind.JSON
    hidden: frozenset[str] = frozenset()
    fixed: Mapping[str, str] = field(default_factory=dict[str, str])
    location: str = ""
    reveals: frozenset[str] = frozenset()
    forgets: frozenset[str] = frozenset()
    key_field: str = ""
    operation: str = ""
    description: str = ""
    raw: str = ""  # the bytes field of the request that the body is, as it stands: a mail
    document: str = ""  # the bytes field of the answer that is JSON already, and signed as it stands: the whole body
    filename: str = ""  # of a download
    upsert: bool = False  # 200 instead of `status` when the thing was there before
    fresh_s: float = 0
    personal: bool = False

    @cached_property
    def method(self) -> Method:
        return method(self.rpc)

    @cached_property
    def media_type(self) -> str:
        """Of a download."""
        return _MEDIA_TYPES[self.filename.rpartition(".")[2]]

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        return tuple(re.findall(r"{(\w+)}", self.path))

    @cached_property
    def has_version(self) -> bool:
        """The request can be made to hold for one version only (If-Match)."""
        return "if_version" in self.method.request.fields_by_name

    @cached_property
    def unsettable_settings(self) -> frozenset[str]:
        """Of an upload, whose settings stand below `settings` in the contract."""
        return frozenset(name.removeprefix("settings.") for name in self.unsettable)

    @cached_property
    def unsettable(self) -> frozenset[str]:
        """Everything that neither query nor body may name."""
        return self.hidden | frozenset(self.fixed) | frozenset(self.parameters) | {"if_version", self.key_field} - {""}


_CAMPAIGN = "/v1/campaigns/{campaign_id}"
_DOMAIN = "/v1/sender-domains/{domain}"
_FORM = "/v1/forms/{form_id}"
_IMPORT = "/v1/imports/{import_id}"
_NOTICE = "/v1/notices/{notice_hash}"
_REPORT = "/v1/reports/{report_id}"
_SUBSCRIBER = "/v1/subscribers/{subscriber_id}"
_SUPPRESSIONS = "/v1/suppression-exports/{suppression_export_id}"
_TEMPLATE = "/v1/templates/{template_id}/versions/{version}"
_AB_TEST_HIDDEN = frozenset(f"ab_test.{name}" for name in ("winner", "decided_at", "decided_by", "variants.responses"))
_EVIDENCE_HIDDEN = frozenset({"address", "mail"})
_WEBHOOK = "/v1/webhooks/{webhook_id}"
# A consent is recorded by people's names for things; what only the mesh can know is not taken from outside.
_CONSENT_HIDDEN = frozenset(f"consents.{name}" for name in ("route", "idempotency_key", "address_key", "particulars.refers_to_version"))

ROUTES: Sequence[Route] = (
    Route(
        "POST", "/v1/lists", "subscribers.CreateList", "Make a list", "lists", 201,
        location="/v1/lists/{list_id}", key_field="idempotency_key",
    ),
    Route("GET", "/v1/lists", "subscribers.ListLists", "All lists, in pages", "lists"),
    Route("GET", "/v1/lists/{list_id}", "subscribers.GetList", "One list", "lists"),
    Route("PUT", "/v1/lists/{list_id}/profile-fields", "subscribers.SetProfileFields", "Which fields people see and correct by themselves",
          "lists", description="On a page that they reach by a link in a mail to their own address. None, unless you name them."),
    Route("PUT", "/v1/lists/{list_id}/time-zone", "subscribers.SetListTimeZone", "On whose clock campaigns at a time of day go", "lists",
          description="To those who say no time zone of their own. A campaign that is scheduled already stays as it is."),
    Route(
        "POST", "/v1/imports", "subscribers.CreateImport", "Import people from a CSV file", "imports", 202,
        kind=Kind.UPLOAD, location=_IMPORT, key_field="settings.idempotency_key",
    ),
    Route("GET", _IMPORT, "subscribers.GetImport", "How far an import is", "imports"),
    Route("GET", _IMPORT + "/errors", "subscribers.GetImportErrors", "The refused rows, as CSV", "imports", kind=Kind.DOWNLOAD,
          filename="refused-rows.csv", personal=True),
    Route("POST", _IMPORT + "/cancel", "subscribers.CancelImport", "Cancel an import", "imports"),
    Route("POST", _IMPORT + "/resume", "subscribers.ResumeImport", "Resume a cancelled import", "imports"),
    Route(
        "POST", "/v1/subscribers", "subscribers.PutSubscriber", "Add a person, or change the one who has this address", "subscribers", 201,
        hidden=frozenset({"subscriber_id"}), location=_SUBSCRIBER, upsert=True, operation="AddSubscriber",
    ),
    Route("GET", _SUBSCRIBER, "subscribers.GetSubscriber", "One person", "subscribers", personal=True),
    Route("PUT", _SUBSCRIBER, "subscribers.PutSubscriber", "Replace a person's address, fields and lists", "subscribers",
          operation="ReplaceSubscriber"),
    Route("DELETE", _SUBSCRIBER, "subscribers.DeleteSubscriber", "Delete a person", "subscribers", 204),
    Route("GET", _SUBSCRIBER + "/consents", "consent.ListConsentEvents", "A person's consents and withdrawals", "consents",
          hidden=frozenset({"address_key"}), personal=True),
    Route("GET", _SUBSCRIBER + "/consents/{event_id}/receipt", "consent.GetReceipt", "A signed receipt of a consent or a withdrawal",
          "consents", hidden=frozenset({"address_key"}), document="document", personal=True),
    Route("GET", "/v1/receipt-keys", "consent.ListReceiptKeys", "The keys that receipts are signed with, as a JWK Set; open to everyone",
          "consents"),
    Route(
        "GET", "/v1/consents/expiring", "consent.ListExpiring", "Implied consents that end within some days, the soonest first", "consents",
        personal=True,
    ),
    Route(
        "POST", "/v1/consents", "consent.RecordConsents", "Record up to 1,000 consents", "consents", 201,
        hidden=_CONSENT_HIDDEN, fixed={"consents.route": "ROUTE_API"}, key_field="consents.idempotency_key",
        description="Say what the law will ask: who did what, when, where they are (`territories`), and which evidence you hold (`held`, "
        "`wording`). It opens nothing that the person has stopped: that they open again themselves, on the page of their own link.",
    ),
    Route(
        "POST", "/v1/relationships", "consent.RecordConsents", "Record up to 1,000 relationships that imply consent", "consents", 201,
        hidden=_CONSENT_HIDDEN, fixed={"consents.route": "ROUTE_API", "consents.kind": "KIND_IMPLIED"},
        key_field="consents.idempotency_key", operation="RecordRelationships",
        description="A purchase, an inquiry, a membership (`particulars.relationship`): implied consent begins anew from `given_at`, for "
        "as long as the law has it last. Never lifts an opt-out.",
    ),
    Route(
        "POST", "/v1/consents/withdraw", "consent.WithdrawConsent", "Withdraw a consent, and stop the mail", "consents",
        hidden=frozenset({"address_key", "particulars.refers_to_version"}), fixed={"route": "ROUTE_API"}, key_field="idempotency_key",
        description="Everything by which a person says no: `kind` is withdrawn, refused, complained, objected, restricted, paused, "
        "invalidated or tracking_withdrawn; and what else ends their mail: bounced (taken back by recording `reachable`) or erased. "
        "Answered once the mail has stopped (`stopped`), or once it is durable (`recorded`).",
    ),
    Route(
        "POST", "/v1/decisions/explain", "consent.ExplainDecision", "May this message go to this person, and why?", "decisions",
        personal=True,
        description="What the law says now, with the sections, what the message must carry, and the events that it rests on. Changes "
        "nothing, and promises no message: each is decided on again before it goes.",
    ),
    Route(
        "POST", "/v1/notices", "consent.PutNotice", "Register a wording that people read, or say when it ended", "notices", 201,
        location=_NOTICE, upsert=True,
    ),
    Route("GET", "/v1/notices", "consent.ListNotices", "All notices, in pages", "notices"),
    Route("GET", _NOTICE, "consent.GetNotice", "One notice, by the SHA-256 of its wording", "notices"),
    Route(
        "POST", "/v1/forms", "consent.CreateForm", "Make a form on which people sign up for a list", "forms", 201,
        location=_FORM, key_field="idempotency_key",
        description="Its page is at `url`. Double opt-in unless you say otherwise: who signs up gets one message, and no more until "
        "they say yes with the link in it. Its words never change, for consents rest on them; retire it and make another.",
    ),
    Route("GET", "/v1/forms", "consent.ListForms", "All forms, in pages", "forms"),
    Route("GET", _FORM, "consent.GetForm", "One form", "forms"),
    Route("POST", _FORM + "/retire", "consent.RetireForm", "Retire a form: nobody signs up on it any more, who has may still confirm",
          "forms"),
    Route(
        "POST", "/v1/opt-out-links", "consent.CreateOptOutLink", "Make a person's own unsubscribe link, for your pages", "consents", 201,
        reveals=frozenset({"url"}),
    ),
    Route(
        "POST", "/v1/suppression-exports", "consent.RequestSuppressionExport", "Ask for the list of those who said stop", "consents", 201,
        location=_SUPPRESSIONS, key_field="idempotency_key",
        description="For compliance, with its `purpose`. Nothing leaves before a key that may approve (`suppressions:approve`), and is not "
        "the one that asked, has approved. All of it is in the log.",
    ),
    Route("GET", _SUPPRESSIONS, "consent.GetSuppressionExport", "One export of the suppression list", "consents"),
    Route("POST", _SUPPRESSIONS + "/approve", "consent.ApproveSuppressionExport", "Approve an export that another asked for", "consents"),
    Route(
        "POST", _SUPPRESSIONS + "/csv", "consent.TakeSuppressionExport", "Take the approved list out, once", "consents",
        kind=Kind.DOWNLOAD, filename="suppressions.csv",
        description="Within 24 hours of the approval, once, however far the download came: so it is no GET, which others may repeat. The "
        "address where the person is still known, else the keyed hash alone; scope, reason, since.",
    ),
    Route(
        "POST", "/v1/templates", "sending.CreateTemplate", "Write a template", "templates", 201,
        location=_TEMPLATE, key_field="idempotency_key",
        description="Version 1 of it. Versions never change; `PUT` adds the next one. A template without text gets one made of its HTML.",
    ),
    Route("GET", "/v1/templates", "sending.ListTemplateVersions", "All versions of all templates, in pages", "templates"),
    Route("GET", _TEMPLATE, "sending.GetTemplateVersion", "One version of a template", "templates"),
    Route("PUT", _TEMPLATE, "sending.AddTemplateVersion", "Add the version after the last one", "templates"),
    Route("POST", _TEMPLATE + "/approve", "sending.ApproveTemplateVersion", "Approve a version that another wrote", "templates",
          description="With a key that may (`templates:approve`) and that is not its author's. A service or transactional template that "
          "advertises is refused, with each place."),
    Route("POST", _TEMPLATE + "/retire", "sending.RetireTemplateVersion", "Retire a version, for good", "templates"),
    Route(
        "POST", "/v1/campaigns", "sending.CreateCampaign", "Draft a campaign", "campaigns", 201,
        location=_CAMPAIGN, key_field="idempotency_key", hidden=_AB_TEST_HIDDEN,
        description="With a `template` of its own, which is always commercial; or with an approved one, by `template_id` and "
        "`template_version`, whose class and states it has. `leave_out_silent_days` refuses, as `long-silent`, who allows their opens or "
        "clicks to be known, as far as the campaign tracks them, and gave no sign for longer: opened, clicked, answered, or did something "
        "on a page that a mail leads to. Days count from the first such campaign that met them; nobody is deleted.",
    ),
    Route("GET", "/v1/campaigns", "sending.ListCampaigns", "All campaigns, in pages", "campaigns"),
    Route("GET", _CAMPAIGN, "sending.GetCampaign", "One campaign, with its status and totals", "campaigns"),
    Route("GET", _CAMPAIGN + "/checklist", "sending.GetChecklist", "What must pass before a campaign may start", "campaigns",
          description="Looked at now, as a launch would: up to 1,000 people of the audience are decided on. An item that fails "
          "refuses the launch, and says what to do about it; one that warns does not."),
    Route("POST", _CAMPAIGN + "/launch", "sending.LaunchCampaign", "Begin to send, if the checklist passes", "campaigns"),
    Route(
        "POST", _CAMPAIGN + "/schedule", "sending.ScheduleCampaign", "Have a draft begin by itself", "campaigns",
        description="`at` an instant, or at `local_time` on each recipient's own clock: by the time zone in their field `time_zone`, else "
        "by `time_zone` here, else by yours. What a launch looks at is looked at when its time comes; where that fails, it is a draft "
        "again, and `paused_because` says why.",
    ),
    Route("POST", _CAMPAIGN + "/unschedule", "sending.UnscheduleCampaign", "Make a scheduled campaign a draft again", "campaigns"),
    Route(
        "POST", _CAMPAIGN + "/test", "sending.SendTest", "Send a campaign as a test to team addresses", "campaigns", 202,
        key_field="idempotency_key",
        description="To confirmed ones alone, ten at most. The subject says TEST, the links to stop lead nowhere, and no totals count it.",
    ),
    Route("POST", _CAMPAIGN + "/winner", "sending.ChooseWinner", "Choose the variant of an A/B test that everybody else gets", "campaigns",
          description="For good: people have it then. Where the test has a measure, it chooses at its time unless you did before."),
    Route("POST", _CAMPAIGN + "/pause", "sending.PauseCampaign", "Pause sending", "campaigns"),
    Route("POST", _CAMPAIGN + "/resume", "sending.ResumeCampaign", "Go on sending", "campaigns"),
    Route("POST", _CAMPAIGN + "/cancel", "sending.CancelCampaign", "End a campaign for good", "campaigns"),
    Route("GET", _CAMPAIGN + "/recipients", "sending.ListRecipients", "What became of each recipient, in pages", "campaigns",
          personal=True),
    Route(
        "POST", "/v1/messages", "sending.SendSingle", "Send one message to one person", "messages", 202, key_field="idempotency_key",
        description="From an approved `service` or `transactional` template: marketing goes as a campaign. To a person by `subscriber_id`, "
        "or by `address`, who may be on no list. It goes the way of every message: who opted out of advertising still gets a receipt, who "
        "is paused or restricted does not.",
    ),
    Route(
        "POST", "/v1/team-addresses", "sending.AddTeamAddress", "Add an address of your own people, for tests", "campaigns", 202,
        description="A mail asks there first; nothing else goes to it before somebody has said yes by the link in it. With `seed`, every "
        "campaign goes to it as well, outside all totals. Again: asks anew where nobody has answered, and changes `seed`.",
    ),
    Route("GET", "/v1/team-addresses", "sending.ListTeamAddresses", "All team addresses", "campaigns"),
    Route("DELETE", "/v1/team-addresses/{team_address_id}", "sending.RemoveTeamAddress", "Remove a team address", "campaigns", 204),
    Route(
        "PUT", "/v1/frequency-cap", "sending.SetFrequencyCap", "How many marketing messages a person may get within some days", "campaigns",
        hidden=frozenset({"counted_from"}),
        description="Over all campaigns. Counted are messages that were sent, from the day on which there is a cap; whoever has had enough "
        "is refused as `frequency-cap`. 0 messages: no cap.",
    ),
    Route("GET", "/v1/frequency-cap", "sending.GetFrequencyCap", "The cap as it is", "campaigns"),
    Route("GET", _CAMPAIGN + "/analytics", "sending.GetCampaignAnalytics", "What became of a campaign: by hour, destination and link",
          "analytics",
          description="Counted from events, a few seconds behind them. People who clicked or opened are those alone who allow it."),
    Route("GET", "/v1/analytics", "sending.GetAnalytics", "What became of all campaigns, a line for each campaign, list, domain …",
          "analytics", description="`by`: campaign (default), list, the sender's domain, destination, or hour."),
    Route("GET", "/v1/analytics/csv", "sending.ExportAnalytics", "The same as CSV", "analytics", kind=Kind.DOWNLOAD,
          filename="analytics.csv"),
    Route(
        "POST", "/v1/webhooks", "sending.CreateWebhook", "Be told of opt-outs, bounces, complaints and campaigns", "webhooks", 201,
        reveals=frozenset({"secret"}), forgets=frozenset({"secret"}),
        description="Signed as Standard Webhooks has it; the secret is shown this once. What is about one person comes in order. A message "
        "that is not taken (2xx) is tried again for three days; then the webhook is disabled.",
    ),
    Route("GET", "/v1/webhooks", "sending.ListWebhooks", "All webhooks, and how much waits for each", "webhooks"),
    Route("GET", _WEBHOOK, "sending.GetWebhook", "One webhook", "webhooks"),
    Route("DELETE", _WEBHOOK, "sending.DeleteWebhook", "Delete a webhook, and what waits for it", "webhooks"),
    Route("POST", _WEBHOOK + "/rotate-secret", "sending.RotateWebhookSecret", "Make a new secret, shown this once", "webhooks",
          reveals=frozenset({"secret"}), forgets=frozenset({"secret"}),
          description="Messages carry signatures of the secret before it, too, for 24 hours."),
    Route("PUT", _WEBHOOK + "/event-types", "sending.SetWebhookEventTypes", "Of what a webhook is told", "webhooks",
          description="`person.opted_out`, `message.bounced`, `message.complained`, `campaign.changed`, `report.ready`; none: of all."),
    Route("POST", _WEBHOOK + "/redeliver", "sending.RedeliverWebhook", "Send what waits now, also where it was disabled", "webhooks"),
    Route(
        "POST", "/v1/sender-domains", "sending.RegisterSenderDomain", "Register a domain to mail from", "sender-domains", 201,
        location=_DOMAIN,
        description="Publish its `dns_records`, with SPF, DMARC and MX, and have it checked: campaigns go from verified domains alone.",
    ),
    Route("GET", "/v1/sender-domains", "sending.ListSenderDomains", "All sender domains, in pages", "sender-domains"),
    Route("GET", _DOMAIN, "sending.GetSenderDomain", "One sender domain: its state, its records, and what the last checks found",
          "sender-domains"),
    Route("GET", _DOMAIN + "/reports", "sending.ListDomainReports", "What receivers report of a domain: DMARC and TLS", "sender-domains",
          description="Name `report_to` in its records (`rua=mailto:…`), and they arrive. They are what receivers say, and prove nothing."),
    Route("POST", _DOMAIN + "/check", "sending.CheckSenderDomain", "Ask the DNS now", "sender-domains"),
    Route("POST", _DOMAIN + "/rotate-keys", "sending.RotateDkimKeys", "Make new DKIM keys, used once they are published",
          "sender-domains",
          description="The keys before them go on signing until a check finds the new ones, and their records are to stay for seven days "
          "more."),
    Route("GET", "/v1/audit/events/{event_id}/proof", "audit.GetEventProof", "Proof that an event is in the log", "audit", fresh_s=60),
    Route("GET", "/v1/audit/entries", "audit.ListEntries", "What the log has of yours, newest first, in pages", "audit",
          hidden=frozenset({"address"}), personal=True,
          description="By `subscriber_id`, `actor`, `object`, `action`, `campaign_id`, `trace_id`, `request_id`, `since` and `until`. "
          "Entries that hold many people are answered with what they say of the one asked for. `searched_below` says what was looked "
          "through."),
    Route("POST", "/v1/audit/entries/search", "audit.ListEntries", "The same, by a person's address", "audit", personal=True,
          operation="SearchEntries",
          description="A `POST`, so that no address stands in a log of paths; also of whom nothing else is kept."),
    Route("GET", "/v1/evidence/{subscriber_id}", "audit.AnswerEvidence",
          "Why was this person mailed, what came of their opt-out, who looked?", "audit", hidden=_EVIDENCE_HIDDEN, personal=True,
          description="Each statement names the entry of the log that it is read from. Also of whom nothing else is kept. `witnessed` says "
          "whether anybody outside has cosigned the checkpoint."),
    Route("GET", "/v1/evidence/{subscriber_id}/bundle", "audit.GetEvidence", "The same, to be checked elsewhere", "audit",
          kind=Kind.DOWNLOAD, filename="evidence.zip", hidden=_EVIDENCE_HIDDEN, personal=True, operation="GetEvidenceBundle",
          description="As `POST /v1/evidence`."),
    Route("POST", "/v1/evidence/answers", "audit.AnswerEvidence", "The same answers, by a person's address", "audit",
          hidden=frozenset({"mail"}), personal=True, operation="AnswerEvidenceByAddress",
          description="A `POST`, so that no address stands in a log of paths."),
    Route("POST", "/v1/evidence/mail", "audit.AnswerEvidence", "Is this mail ours, and why did this person get it?", "audit", raw="mail",
          hidden=frozenset({"address", "subscriber_id"}), personal=True, operation="AnswerEvidenceOfMail",
          description="The mail as it came, as `message/rfc822`, or its header alone, as `text/rfc822-headers`. `mail.ours` is false, "
          "with the reason, where no DKIM key of yours has signed it, it is not what was signed, or the log has no hand-over of it."),
    Route("POST", "/v1/evidence/mail/bundle", "audit.GetEvidence", "The same, to be checked elsewhere", "audit", raw="mail",
          kind=Kind.DOWNLOAD, filename="evidence.zip", hidden=frozenset({"address", "subscriber_id"}), personal=True,
          operation="GetEvidenceBundleOfMail",
          description="As `POST /v1/evidence`, with the mail's header and `mail.py`, which checks it. 404 of type `not-ours`, with the "
          "reason, where it is none of yours."),
    Route("POST", "/v1/evidence", "audit.GetEvidence", "The bundle of evidence, by a person's address or id", "audit",
          kind=Kind.DOWNLOAD, filename="evidence.zip", hidden=frozenset({"mail"}), personal=True, operation="GetEvidence",
          description="By `address` or `subscriber_id`, also of whom nothing else is kept. A ZIP: the answers as text and page, the log's "
          "entries that they rest on with their proofs, the wordings that were read, and `verify.py`, which checks all of it with Python "
          "alone."),
    Route("GET", "/v1/reconciliations", "audit.ListReconciliations", "What was last held against what, and what differs of yours",
          "audit"),
    Route(
        "POST", "/v1/reports", "audit.CreateReport", "Have a compliance report made, of all that the log has", "reports", 202,
        location=_REPORT, key_field="idempotency_key",
        description="`kind`: `activity`, `access` (who read people's data, who was refused), `api_keys`, `consents`, `opt_outs` (how long "
        "each took, with a proof of the worst) or `sub_processors`. It is read below one checkpoint of the log, which its answer names; "
        "`unwitnessed` where nobody outside has cosigned that.",
    ),
    Route("GET", "/v1/reports", "audit.ListReports", "All reports, the oldest first; one, `daily`, is made of each day", "reports"),
    Route("GET", _REPORT, "audit.GetReport", "How far a report is; once it is done, its control totals, its signed note and its files",
          "reports"),
    Route("POST", _REPORT + "/cancel", "audit.CancelReport", "Stop making a report", "reports"),
    *(
        Route("GET", f"{_REPORT}/{format}", "audit.GetReportFile", summary, "reports", kind=Kind.DOWNLOAD, filename=f"report.{format}",
              fixed={"format": f"FORMAT_{format.upper()}"}, operation=f"GetReport{format.capitalize()}", personal=True)
        for format, summary in (
            ("html", "A report as a page without scripts"),
            ("pdf", "The same as PDF, where audit has a Chromium to print it"),
            ("csv", "Its lines as CSV"),
            ("json", "Its lines as JSON, with what checks it: totals, sample, proofs, checkpoint"),
        )
    ),
    Route("GET", "/v1/audit/checkpoint", "audit.GetCheckpoint", "The log's size and root, signed; open to everyone", "audit"),
    Route("GET", "/v1/audit/consistency", "audit.GetConsistencyProof", "Proof that the log has only grown between two sizes", "audit"),
    Route(
        "POST", "/v1/api-keys", "identity.CreateApiKey", "Make an API key; its secret is shown this once", "api-keys", 201,
        hidden=frozenset({"tenant_id"}), reveals=frozenset({"secret"}), forgets=frozenset({"secret"}), key_field="idempotency_key",
    ),
    Route("GET", "/v1/api-keys", "identity.ListApiKeys", "All API keys, in pages, without their secrets", "api-keys"),
    Route("DELETE", "/v1/api-keys/{api_key_id}", "identity.RevokeApiKey", "Revoke an API key, everywhere within a second", "api-keys"),
)  # fmt: skip
