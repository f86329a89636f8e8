"""Every act leaves its event (promise A1): each method of the contracts that changes something names the events that tell the log of it, or
says why there is none. A new method is on neither list, and so fails here until somebody has thought of it."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf import descriptor_pool

from postlaw.options.v1 import options_pb2
from postlaw_common.contracts import every_message
from postlaw_common.operator_acts import ACTS
from postlaw_common.testing.promises import promise
from postlaw_gateway.routes import ROUTES

SERVICES = ("identity", "subscribers", "consent", "sending", "audit")

READS = ("Get", "List", "Describe", "Explain", "Stream", "Export", "Answer")
"""How a method's name begins that changes nothing. Who was shown what is kept of people is a PersonalDataRead (test_who_looked)."""

ACTS_BY_METHOD = {
    "identity.CreateTenant": "identity.TenantCreated",
    "identity.SetSenderIdentity": "identity.SenderIdentityChanged",
    "identity.CreateApiKey": "identity.ApiKeyCreated",
    "identity.RevokeApiKey": "identity.ApiKeyRevoked",
    "identity.RotateSigningKey": "identity.SigningKeyRotated",
    "subscribers.CreateList": "subscribers.ListCreated",
    "subscribers.SetProfileFields": "subscribers.ListChanged",
    "subscribers.SetListTimeZone": "subscribers.ListChanged",
    "subscribers.CreateImport": "subscribers.ImportChanged",
    "subscribers.CancelImport": "subscribers.ImportChanged",
    "subscribers.ResumeImport": "subscribers.ImportChanged",
    "subscribers.PutSubscriber": "subscribers.SubscriberChanged",
    "subscribers.DeleteSubscriber": "subscribers.SubscriberDeleted",
    "subscribers.JoinList": "subscribers.SubscriberChanged",
    "subscribers.CorrectProfile": "subscribers.SubscriberChanged",
    "subscribers.SetLanguage": "subscribers.SubscriberChanged",
    "subscribers.SuppressEverywhere": "consent.ConsentEvent",
    "consent.RecordConsents": "consent.ConsentEvent",
    "consent.RecordConsentOfMany": "consent.ConsentEvent",
    "consent.SuppressMany": "consent.ConsentEvent",
    "consent.StopForPlatform": "consent.ConsentEvent",
    "consent.LiftForPlatform": "consent.ConsentEvent",
    "consent.RequestSuppressionExport": "consent.SuppressionExportChanged",
    "consent.ApproveSuppressionExport": "consent.SuppressionExportChanged",
    "consent.TakeSuppressionExport": "consent.SuppressionExportChanged",
    "consent.WithdrawConsent": "consent.ConsentEvent",
    "consent.WithdrawByToken": "consent.ConsentEvent",
    "consent.ChangePreferences": "consent.ConsentEvent",
    "consent.KeepLanguage": "subscribers.SubscriberChanged",
    "consent.RequestProfileLink": "sending.BatchSettled",  # the mail with the link
    "consent.UseProfileLink": "subscribers.SubscriberChanged",
    "consent.PutNotice": "consent.NoticeChanged",
    "consent.CreateForm": "consent.FormChanged",
    "consent.RetireForm": "consent.FormChanged",
    "consent.SignUp": "consent.ConsentEvent",
    "consent.ConfirmSignUp": "consent.ConsentEvent",
    "sending.CreateCampaign": "sending.CampaignChanged",
    "sending.LaunchCampaign": "sending.CampaignChanged",
    "sending.ScheduleCampaign": "sending.CampaignChanged",
    "sending.UnscheduleCampaign": "sending.CampaignChanged",
    "sending.ChooseWinner": "sending.CampaignChanged",
    "sending.PauseCampaign": "sending.CampaignChanged",
    "sending.ResumeCampaign": "sending.CampaignChanged",
    "sending.CancelCampaign": "sending.CampaignChanged",
    "sending.CreateTemplate": "sending.TemplateChanged",
    "sending.AddTemplateVersion": "sending.TemplateChanged",
    "sending.ApproveTemplateVersion": "sending.TemplateChanged",
    "sending.RetireTemplateVersion": "sending.TemplateChanged",
    "sending.RegisterSenderDomain": "sending.SenderDomainChanged",
    "sending.CheckSenderDomain": "sending.SenderDomainChanged",
    "sending.RotateDkimKeys": "sending.SenderDomainChanged",
    "sending.SendSingle": "sending.BatchSettled",
    "sending.SendMessage": "sending.BatchSettled",
    "sending.SendTest": "sending.BatchSettled",
    "sending.AddTeamAddress": "sending.TeamAddressChanged",
    "sending.RemoveTeamAddress": "sending.TeamAddressChanged",
    "sending.ConfirmTeamAddress": "sending.TeamAddressChanged",
    "sending.SetFrequencyCap": "sending.FrequencyCapChanged",
    "sending.CreateWebhook": "sending.WebhookChanged",
    "sending.DeleteWebhook": "sending.WebhookChanged",
    "sending.RotateWebhookSecret": "sending.WebhookChanged",
    "sending.SetWebhookEventTypes": "sending.WebhookChanged",
    "sending.RedeliverWebhook": "sending.WebhookChanged",
    "sending.RecordHit": "sending.HitsRecorded",
    "sending.TakeProviderReport": "sending.MessageReturned",
    "sending.AwaitStopped": "consent.WithdrawalAnswered",
    "sending.AttestWorkerEnd": "operator.OperatorActed",
    "sending.ResolveUnknown": "operator.OperatorActed",
    "sending.ReleaseHeldReturns": "operator.OperatorActed",
    "sending.ReleaseHeldSending": "operator.OperatorActed",
    "sending.ImportPostmasterRates": "operator.OperatorActed",
    "sending.ReconcileAnalytics": "operator.OperatorActed",
    "audit.RebuildIndex": "operator.OperatorActed",
    "audit.CreateReport": "audit.ReportChanged",
    "audit.CancelReport": "audit.ReportChanged",
    "audit.PutSubProcessor": "audit.SubProcessorChanged",
    "audit.RemoveSubProcessor": "audit.SubProcessorChanged",
    "sending.ReconcileRelayLog": "reconciliation.ReconciliationFinished",
}
WITHOUT = {
    "identity.AuthenticateApiKey": "changes nothing; who is refused is an AccessRefused",
    "identity.IssueServiceContext": "changes nothing: each event that comes of it names the service, and on whose behalf",
    "identity.IssueOperatorContext": "changes nothing: each event that comes of it names the operator",
    "subscribers.OpenPeople": "a look-up of the planner and of retries, for mail that a BatchSettled tells of",
    "subscribers.ResolvePerson": "a look-up: address to key; whoever is shown anything then is a PersonalDataRead",
    "consent.CreateOptOutLink": "signs a link and keeps nothing; its use is a ConsentEvent",
}


def _methods() -> Iterator[tuple[str, options_pb2.MethodPolicy]]:
    for service in SERVICES:
        descriptor = descriptor_pool.Default().FindServiceByName(f"postlaw.{service}.v1.{service.capitalize()}Service")
        for method in descriptor.methods:
            yield f"{service}.{method.name}", method.GetOptions().Extensions[options_pb2.method]


def _changing() -> list[str]:
    return [name for name, _ in _methods() if not name.partition(".")[2].startswith(READS)]


@promise("A1", "S8")
def test_every_method_that_changes_something_names_its_event_or_says_why_there_is_none() -> None:
    assert sorted(_changing()) == sorted(ACTS_BY_METHOD | WITHOUT)
    types = {message.GetOptions().Extensions[options_pb2.event].type for message in every_message()} - {""}
    assert {f"postlaw.{event}" for event in ACTS_BY_METHOD.values()} <= types


@promise("A1")
def test_every_route_that_changes_something_leads_to_a_method_that_leaves_an_event() -> None:
    changing = {route.rpc for route in ROUTES if route.verb != "GET"}
    asked = {
        "sending.GetAnalytics",
        "audit.ListEntries",
        "audit.GetEvidence",
        "audit.AnswerEvidence",
        "consent.ExplainDecision",
    }  # questions with a body
    assert changing - asked <= ACTS_BY_METHOD.keys() | WITHOUT.keys(), "a POST, PUT or DELETE that no event tells of"


@promise("A1")
def test_what_only_whoever_runs_the_installation_may_change_is_in_their_name() -> None:
    """Without a context nobody is named, but by the peer's certificate: such a method leaves an OperatorActed."""
    nameless = {name for name, policy in _methods() if "operator" in policy.callers and not policy.context and name in _changing()}
    nameless -= WITHOUT.keys() | {"sending.ReconcileRelayLog"}  # compares, and mends nothing
    nameless -= {"audit.PutSubProcessor", "audit.RemoveSubProcessor"}  # their own event has the operator, before and after
    assert nameless == {name for name, event in ACTS_BY_METHOD.items() if event == "operator.OperatorActed"}
    assert ACTS.name in {message.GetOptions().Extensions[options_pb2.event].topic for message in every_message()}
