"""Notices: put, get, list; and what it takes that a consent may name one."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from postlaw_common.errors import Conflict, FieldError, Invalid, NotFound
from postlaw_common.store import AlreadyExists
from postlaw_consent.domain.notice import Notice, Use
from postlaw_consent.notices import Notices
from postlaw_consent.use_cases.read_ledger import LARGEST_PAGE, PAGE

_HASH = re.compile(r"[0-9a-f]{64}")
_UNKNOWN = "is no notice that is known: send its wording with it, or register it first"

Remark = tuple[str, str]
"""(field of the request, what about it does not fit): the thing was recorded all the same."""


class PutNotice:
    def __init__(self, notices: Notices, now_us: Callable[[], int]) -> None:
        self._notices = notices
        self._now_us = now_us

    async def __call__(self, tenant_id: str, notice: Notice) -> Notice:
        """The notice as it stands now. Of one that is there, what nobody has said yet is taken, and the end is replaced.

        Raises Invalid, and Conflict where its language or its beginning was said otherwise before: consents rest on both."""
        if wrong := [FieldError(field, message) for field, message in notice.problems()]:
            raise Invalid("That is no notice.", fields=wrong)
        if await self._notices.get(tenant_id, notice.digest) is None:
            fresh = replace(notice, registered_us=self._now_us())
            with suppress(AlreadyExists):  # somebody was quicker
                await self._notices.insert(tenant_id, fresh)
                return fresh
        return await self._notices.change(tenant_id, notice.digest, lambda there: _said_of(there, notice))


class GetNotice:
    def __init__(self, notices: Notices) -> None:
        self._notices = notices

    async def __call__(self, tenant_id: str, digest: bytes) -> Notice:
        """Raises NotFound."""
        notice = await self._notices.get(tenant_id, digest)
        if notice is None:
            raise NotFound("There is no notice with this hash.")
        return notice


class ListNotices:
    def __init__(self, notices: Notices) -> None:
        self._notices = notices

    async def __call__(self, tenant_id: str, *, size: int, after: str) -> tuple[list[Notice], str]:
        """A page in the order of their hashes, and the token of the next one ("" at the end). `size` 0: the default."""
        if after and not _HASH.fullmatch(after):
            raise Invalid("That page token is not one of ours.", fields=[FieldError("page_token", "is not one of ours")])
        size = min(size, LARGEST_PAGE) if size > 0 else PAGE
        found = await self._notices.page(tenant_id, after, size + 1)
        return found[:size], found[size - 1].digest.hex() if len(found) > size else ""


def _said_of(there: Notice, said: Notice) -> Notice:
    wrong = [
        FieldError(field, "was said otherwise before, and consents rest on it")
        for field, before, now in (("language", there.language, said.language), ("effective_from", there.from_us, said.from_us))
        if before not in ("", None) and before != now
    ]
    if wrong:
        raise Conflict("This wording is registered already, and only its end can change.", type="notice-differs", fields=wrong)
    return replace(there, language=said.language, from_us=said.from_us, until_us=said.until_us)


@dataclass(frozen=True, slots=True)
class Naming:
    """A consent that names a notice. `field`: where it says so in the request."""

    field: str
    digest: bytes
    use: Use


async def name_notices(notices: Notices, tenant_id: str, namings: Sequence[Naming]) -> list[Remark]:
    """Makes sure that every notice named is there, and says which cannot have been shown at its consent's time, by its own dates.

    Raises Invalid where nobody has ever registered one of them."""
    uses: dict[bytes, Use] = {}
    for naming in namings:
        before = uses.get(naming.digest)
        if before is None or (naming.use.wording and not before.wording):
            uses[naming.digest] = naming.use
    found = await notices.used(tenant_id, uses) if uses else {}
    if unknown := [FieldError(naming.field, _UNKNOWN) for naming in namings if naming.digest not in found]:
        raise Invalid("A consent names a notice that is not known.", fields=unknown)
    return [(naming.field, missed) for naming in namings if (missed := found[naming.digest].misses(naming.use.at_us))]
