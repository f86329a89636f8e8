"""Forms: create, get, list, retire."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from postlaw_common.errors import FieldError, Invalid, NotFound
from postlaw_common.ids import new_id
from postlaw_common.made_once import RequestKey, fingerprint
from postlaw_consent.domain.form import Form
from postlaw_consent.domain.notice import Use
from postlaw_consent.forms import Forms
from postlaw_consent.notices import Notices
from postlaw_consent.use_cases.notices import Naming, name_notices
from postlaw_consent.use_cases.read_ledger import LARGEST_PAGE, PAGE

ListNamed = Callable[[str, str], Awaitable[tuple[str, str]]]
"""(tenant, list) → its name and its brand. Raises NotFound."""


class CreateForm:
    def __init__(self, forms: Forms, notices: Notices, list_named: ListNamed, now_us: Callable[[], int]) -> None:
        self._forms = forms
        self._notices = notices
        self._list_named = list_named
        self._now_us = now_us

    async def __call__(self, form: Form, idempotency_key: str) -> Form:
        """`form` without id, time, and its list's name and brand. Its wording is registered as a notice, in its language. Raises Invalid
        (also for a list that is not there), KeyReused, Unavailable."""
        if wrong := [FieldError(field, message) for field, message in form.problems()]:
            raise Invalid("That is no form.", fields=wrong)
        try:
            list_name, brand = await self._list_named(form.tenant_id, form.list_id)
        except NotFound:
            raise Invalid("The form has no list.", fields=[FieldError("list_id", "there is no such list; create it first")]) from None
        now = self._now_us()
        await name_notices(self._notices, form.tenant_id, [Naming("wording", form.digest, Use(now, form.wording, form.language))])
        sender = form.sender
        asked = fingerprint(
            form.list_id, form.language, form.wording, sender.name, sender.address, sender.postal_address, str(form.double),
            str(form.without_ip), "purposes", *form.purposes, "territories", *form.territories,
        )  # fmt: skip
        made = replace(form, form_id=new_id("frm"), list_name=list_name, brand=brand, created_us=now)
        return await self._forms.insert(made, RequestKey(form.tenant_id, idempotency_key), asked)


class GetForm:
    def __init__(self, forms: Forms) -> None:
        self._forms = forms

    async def __call__(self, form_id: str, tenant_id: str = "") -> Form:
        """Of this customer, or of any where none is named. Raises NotFound."""
        form = await self._forms.get(form_id)
        if form is None or tenant_id not in ("", form.tenant_id):
            raise NotFound(f"There is no form {form_id}.")
        return form


class RetireForm:
    def __init__(self, forms: Forms, now_us: Callable[[], int]) -> None:
        self._forms = forms
        self._now_us = now_us

    async def __call__(self, form_id: str, tenant_id: str) -> Form:
        """From now on nobody signs up on it. Raises NotFound."""
        form = await GetForm(self._forms)(form_id, tenant_id)
        return await self._forms.retire(form_id, self._now_us()) or form


class ListForms:
    def __init__(self, forms: Forms) -> None:
        self._forms = forms

    async def __call__(self, tenant_id: str, *, size: int, after: str) -> tuple[list[Form], str]:
        """A page, oldest first, and the token of the next one ("" at the end). `size` 0: the default."""
        size = min(size, LARGEST_PAGE) if size > 0 else PAGE
        found = await self._forms.page(tenant_id, after, size + 1)
        return found[:size], found[size - 1].form_id if len(found) > size else ""
