"""Where people stand, by the ledger. A long history is folded once and kept as a snapshot; what is read anew is only what came since."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, StoreUnavailable, VersionConflict
from postlaw_common.telemetry import get_logger
from postlaw_consent.afterwards import Afterwards
from postlaw_consent.domain.fold import Fold
from postlaw_consent.domain.gate import LONG, Standing, folded, go_on, standing_of
from postlaw_consent.domain.snapshot import FORM, History, from_json, to_json
from postlaw_consent.ledger import Ledger

SNAPSHOTS = CollectionSpec("snapshots")

EVERY = 200  # events after which a new snapshot is made

_log = get_logger(__name__)


class Standings:
    def __init__(self, ledger: Ledger, snapshots: Callable[[], Collection], afterwards: Afterwards) -> None:
        self._ledger = ledger
        self._snapshots = snapshots
        self._afterwards = afterwards

    async def of(self, tenant_id: str, address_keys: Iterable[bytes]) -> dict[bytes, Standing]:
        """Raises StoreUnavailable."""
        found: dict[bytes, Standing] = {}
        long: list[bytes] = []
        for address_key, lines in (await self._ledger.histories(tenant_id, address_keys, at_most=LONG + 1)).items():
            if len(lines) > LONG:
                long.append(address_key)
            else:
                found[address_key] = standing_of([line.text for line in lines])
        if long:
            found.update(await self._of_long(tenant_id, long))
        return found

    async def _of_long(self, tenant_id: str, address_keys: Sequence[bytes]) -> dict[bytes, Standing]:
        names = {address_key: self._ledger.name_of(tenant_id, address_key) for address_key in address_keys}
        kept = await self._snapshots().get_many(list(names.values()))
        found: dict[bytes, Standing] = {}
        for address_key, name in names.items():
            document = kept.get(name)
            known = document is not None and document.get("form") == FORM
            history = History(from_json(document["fold"]), document["digest"]) if document and known else History(Fold())
            before = history.fold.version
            async for lines in self._ledger.pages(tenant_id, address_key, after_version=before):
                go_on(history, (line.text for line in lines))
            found[address_key] = folded(history)
            if history.fold.version - before >= EVERY:
                keeping = self._keep(name, to_json(history.fold), history.digest, document["v"] if document else None)
                self._afterwards.begin(keeping, what="a snapshot")
        return found

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
