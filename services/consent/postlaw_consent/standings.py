"""Where people stand, by the ledger. A long history is folded once and kept as a snapshot; what is read anew is only what came since."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, StoreUnavailable, VersionConflict
from postlaw_common.telemetry import get_logger
from postlaw_consent.afterwards import Afterwards
from postlaw_consent.domain.fold import Fold
from postlaw_consent.domain.gate import LONG, Standing, folded, go_on, standing_of
from postlaw_consent.domain.snapshot import FORM, History, from_json, to_json
from postlaw_consent.ledger import FIRST_VERSIONS, Ledger

SNAPSHOTS = CollectionSpec("snapshots")

FEW = 4  # people
EVERY = 200  # events after which a new snapshot is made

_log = get_logger(__name__)


class Standings:
    def __init__(self, ledger: Ledger, snapshots: Callable[[], Collection], afterwards: Afterwards) -> None:
        self._ledger = ledger
        self._snapshots = snapshots
        self._afterwards = afterwards

    async def of(self, tenant_id: str, address_keys: Iterable[bytes]) -> dict[bytes, Standing]:
        """Raises StoreUnavailable."""
        names = {address_key: self._ledger.name_of(tenant_id, address_key) for address_key in address_keys}
        first = self._ledger.histories(tenant_id, names, at_most=FIRST_VERSIONS)
        if 0 < len(names) <= FEW:  # asked about side by side: whoever waits for one person waits for one look-up less
            histories, kept = await asyncio.gather(first, self._snapshots().get_many(list(names.values())))
        else:
            histories, kept = await first, None
        found: dict[bytes, Standing] = {}
        longer: dict[bytes, str] = {}
        for address_key, lines in histories.items():
            if len(lines) < FIRST_VERSIONS:
                found[address_key] = standing_of([line.text for line in lines])
            else:
                longer[address_key] = names[address_key]
        if longer:
            found.update(await self._of_longer(tenant_id, longer, kept))
        return found

    async def _of_longer(self, tenant_id: str, names: Mapping[bytes, str], kept: Mapping[str, Document] | None) -> dict[bytes, Standing]:
        if kept is None:
            kept = await self._snapshots().get_many(list(names.values()))
        found: dict[bytes, Standing] = {}
        for address_key, lines in (
            await self._ledger.histories(tenant_id, [key for key, name in names.items() if name not in kept], at_most=LONG + 1)
        ).items():
            if len(lines) > LONG:
                found[address_key] = await self._of_long(tenant_id, address_key, names[address_key], None)
            else:
                found[address_key] = standing_of([line.text for line in lines])
        for address_key, name in names.items():
            if name in kept:
                found[address_key] = await self._of_long(tenant_id, address_key, name, kept[name])
        return found

    async def _of_long(self, tenant_id: str, address_key: bytes, name: str, kept: Document | None) -> Standing:
        known = kept is not None and kept.get("form") == FORM
        history = History(from_json(kept["fold"]), kept["digest"]) if kept and known else History(Fold())
        before = history.fold.version
        async for lines in self._ledger.pages(tenant_id, address_key, after_version=before):
            go_on(history, (line.text for line in lines))
        if history.fold.version - before >= EVERY:
            keeping = self._keep(name, to_json(history.fold), history.digest, kept["v"] if kept else None)
            self._afterwards.begin(keeping, what="a snapshot")
        return folded(history)

    async def _keep(self, name: str, fold: str, digest: bytes, version: int | None) -> None:
        document = {"_id": name, "form": FORM, "fold": fold, "digest": digest}
        try:
            if version is None:
                await self._snapshots().insert(document)
            else:
                await self._snapshots().replace(document, version=version)
        except (AlreadyExists, VersionConflict):
            return  # somebody else has just made one
        except StoreUnavailable as gone:
            _log.warning("a snapshot was not kept: the next reader makes it", failure=type(gone).__name__)
