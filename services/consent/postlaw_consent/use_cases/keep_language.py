"""The person of a token chooses the language of their pages. It is kept with their profile, not in the ledger: it is no act of consent,
every message would pay for reading it there, and it goes when the person is erased."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from postlaw_common.errors import FieldError, Invalid, NotFound
from postlaw_consent.domain.token import OptOut
from postlaw_consent.tokens import Tokens
from postlaw_law.spelling import is_language_tag


class Languages(Protocol):
    async def set_language(self, tenant_id: str, address_key: bytes, language: str) -> bool:
        """Whether it was so before. Raises NotFound, and every other PostlawError."""
        ...


@dataclass(frozen=True, slots=True)
class LanguageKept:
    """`kept` off: nothing is kept of the person, so neither is this. `already`: it was so before."""

    optout: OptOut
    kept: bool
    already: bool = False


class KeepLanguage:
    def __init__(self, opt_out_tokens: Tokens, languages: Languages) -> None:
        self._opt_out_tokens = opt_out_tokens
        self._languages = languages

    async def __call__(self, token: str, language: str) -> LanguageKept:
        """Raises Invalid, of type `bad-token` for the token; Unavailable."""
        optout = await self._opt_out_tokens.open(token)
        if not is_language_tag(language):
            raise Invalid("That is no language.", fields=[FieldError("language", "must be a language tag (BCP 47), such as de or pt-BR")])
        try:
            already = await self._languages.set_language(optout.tenant_id, optout.address_key, language)
        except NotFound:
            return LanguageKept(optout, kept=False)
        return LanguageKept(optout, kept=True, already=already)
