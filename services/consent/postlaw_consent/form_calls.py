"""gRPC to use case, for forms and what people do on them: a part of the servicer."""

from __future__ import annotations

from typing import Any

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.caller import current
from postlaw_consent.domain.confirmation import State
from postlaw_consent.domain.form import Form, FormSender
from postlaw_consent.domain.notice import digest_of
from postlaw_consent.form_wire import form_to_wire
from postlaw_consent.sign_ups import Sent
from postlaw_consent.use_cases.confirm_sign_up import Confirmed, ConfirmSignUp
from postlaw_consent.use_cases.forms import CreateForm, GetForm, ListForms, RetireForm
from postlaw_consent.use_cases.sign_up import TakeSignUp

_STATES: dict[State, pb.Confirmation.State.ValueType] = {
    "open": pb.Confirmation.STATE_OPEN,
    "confirmed": pb.Confirmation.STATE_CONFIRMED,
    "expired": pb.Confirmation.STATE_EXPIRED,
    "void": pb.Confirmation.STATE_VOID,
}


class FormCalls:
    def __init__(
        self,
        create: CreateForm,
        get: GetForm,
        list: ListForms,
        retire: RetireForm,
        sign_up: TakeSignUp,
        confirm: ConfirmSignUp,
        public_url: str,
    ) -> None:
        self._create = create
        self._get = get
        self._list = list
        self._retire = retire
        self._sign_up = sign_up
        self._confirm = confirm
        self._public_url = public_url.rstrip("/")

    async def CreateForm(self, request: pb.CreateFormRequest, context: Any) -> pb.Form:
        return self._form(await self._create(_form_from_wire(request, current().tenant_id), request.idempotency_key))

    async def GetForm(self, request: pb.GetFormRequest, context: Any) -> pb.Form:
        return self._form(await self._get(request.form_id, current().tenant_id))

    async def ListForms(self, request: pb.ListFormsRequest, context: Any) -> pb.ListFormsResponse:
        forms, following = await self._list(current().tenant_id, size=request.page_size, after=request.page_token)
        return pb.ListFormsResponse(forms=map(self._form, forms), next_page_token=following)

    async def RetireForm(self, request: pb.GetFormRequest, context: Any) -> pb.Form:
        return self._form(await self._retire(request.form_id, current().tenant_id))

    async def DescribeForm(self, request: pb.GetFormRequest, context: Any) -> pb.Form:
        return self._form(await self._get(request.form_id))

    async def SignUp(self, request: pb.SignUpRequest, context: Any) -> pb.SignUpTaken:
        sent = Sent(
            address=request.address,
            held=tuple(request.held),
            language=request.language,
            ip=request.ip,
            user_agent=request.user_agent,
            method=request.method,
        )
        await self._sign_up(request.form_id, sent)
        return pb.SignUpTaken()

    async def DescribeConfirmation(self, request: pb.DescribeConfirmationRequest, context: Any) -> pb.Confirmation:
        return self._confirmation(await self._confirm.describe(request.token))

    async def ConfirmSignUp(self, request: pb.ConfirmSignUpRequest, context: Any) -> pb.Confirmation:
        return self._confirmation(await self._confirm(request.token, contact_shown=request.contact_shown))

    def _confirmation(self, found: Confirmed) -> pb.Confirmation:
        return pb.Confirmation(
            state=_STATES[found.state], already=found.already, form=self._form(found.form), address_key=found.address_key
        )

    def _form(self, form: Form) -> pb.Form:
        return form_to_wire(form, self._public_url)


def _form_from_wire(request: pb.CreateFormRequest, tenant_id: str) -> Form:
    sender = request.sender
    return Form(
        form_id="",
        tenant_id=tenant_id,
        list_id=request.list_id,
        list_name="",
        language=request.language,
        wording=request.wording,
        digest=digest_of(request.wording),
        sender=FormSender(sender.name, sender.address, sender.postal_address),
        purposes=tuple(request.purposes),
        double=not request.single_opt_in,
        territories=tuple(request.territories),
        without_ip=request.without_ip,
    )
