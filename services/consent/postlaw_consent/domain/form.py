"""A form on which people sign up for one list: what it says, and who it says is asking. Its words never change: consents rest on them.

It can be retired: then nobody signs up on it any more, and who has, may still confirm."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from postlaw_consent.domain.scope import Belongs, Scope
from postlaw_law.spelling import is_language_tag, is_territory_code

_ADDRESS = re.compile(r"[!-?A-~]+@[!-?A-~]+\.[!-?A-~]+")  # ASCII with one @: sending judges it in full


@dataclass(frozen=True, slots=True)
class FormSender:
    """Whom the form and its confirmation mail name."""

    name: str
    address: str
    postal_address: str


@dataclass(frozen=True, slots=True)
class Form:
    """`brand`: of the list, "" for none. `digest`: of the wording, which is kept as a notice. `territories`: where the form is for these
    alone. `without_ip`: no IP address is kept with what people do here. `created_us`, and `retired_us` (0: it is not): microseconds since
    the epoch."""

    form_id: str
    tenant_id: str
    list_id: str
    list_name: str
    language: str
    wording: str
    digest: bytes
    sender: FormSender
    purposes: tuple[str, ...] = ()
    double: bool = True
    territories: tuple[str, ...] = ()
    without_ip: bool = False
    created_us: int = 0
    retired_us: int = 0
    brand: str = ""

    @property
    def scope(self) -> Scope:
        return Scope("list", self.list_id)

    @property
    def belongs(self) -> Belongs:
        return Belongs(self.scope, self.brand)

    def problems(self) -> Iterator[tuple[str, str]]:
        """What is wrong with it: (field, in words for whoever sent it)."""
        if problem := self.scope.problem():
            yield "list_id", problem
        if not is_language_tag(self.language):
            yield "language", "must be a language tag (BCP 47), such as de or pt-BR"
        if not all(map(is_territory_code, self.territories)):
            yield "territories", "must be ISO 3166-1 codes of two capital letters, such as DE"
        if not all(0 < len(purpose) <= 200 for purpose in self.purposes):
            yield "purposes", "must have 1 to 200 characters each"
        if not _ADDRESS.fullmatch(self.sender.address):
            yield "sender.address", "must be an address in ASCII, such as news@shop.example"
        for field, value in (
            ("wording", self.wording),
            ("sender.name", self.sender.name),
            ("sender.postal_address", self.sender.postal_address),
        ):
            if not value.strip():
                yield field, "must not be empty"
