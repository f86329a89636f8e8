"""Keys that several services must share: made once at installation, kept wrapped in the database `platform`."""

from __future__ import annotations

import os
from contextlib import suppress

from postlaw_common.keys import RootKey
from postlaw_common.store import AlreadyExists, CollectionSpec, Store

PLATFORM_KEYS = CollectionSpec("platform_keys")

PLACEMENT = "placement"  # never rotated: consent events and jobs of one person must meet in one partition for good
OPT_OUT_TOKENS = "opt-out-tokens"  # versions are added, never removed: a link works for as long as opt-outs are kept
RECEIPTS = "receipts"  # seeds of Ed25519 keys; versions are added, never removed: a receipt is checked for as long as it is kept
CONFIRMATION_TOKENS = "confirmation-tokens"  # of links in confirmation mails, which lapse
SIGN_UPS = "sign-ups"  # seals what people sent with a form or a page, until it is done
PROFILE_LINKS = "profile-links"  # of links to people's own details, which lapse
ADDRESS_CAPS = "address-caps"  # counts mails by address over all customers, without the address
ADDRESS_INDEX = "address-index"  # names addresses that are stopped for every customer; never rotated: nobody could hash them again
RETURN_PATHS = "return-paths"  # never rotated: a bounce may come days after its message
RETURNED_MAIL = "returned-mail"  # seals what came back, until it is acted on
PROMPTS = "prompts"  # seals what language models are told
TRACKING = "tracking"  # of links and pixels in campaigns' messages; never rotated: a link works for as long as its campaign is known
FORM_TOKENS = "form-tokens"  # of forms that the gateway shows


class PlatformKeys:
    """32-byte keys by (name, version). `store` is the database `platform`, shared by every service."""

    def __init__(self, store: Store, root: RootKey) -> None:
        self._store = store
        self._root = root
        self._known: dict[str, bytes] = {}

    async def get(self, name: str, version: int = 1, *, create: bool = True) -> bytes:
        """The key; made on first use, by whoever comes first. KeyError where `create` is off and there is none."""
        id = f"{name}/{version}"
        if id in self._known:
            return self._known[id]
        collection = self._store.collection(PLATFORM_KEYS.name)
        document = await collection.get(id)
        if document is None:
            if not create:
                raise KeyError(id)
            fresh = await self._root.wrap(os.urandom(32), purpose=f"platform/{id}")
            with suppress(AlreadyExists):
                await collection.insert({"_id": id, "wrapped": fresh})
            document = await collection.get(id, linearizable=True)
            if document is None:
                raise KeyError(id)
        key = await self._root.unwrap(document["wrapped"], purpose=f"platform/{id}")
        self._known[id] = key
        return key
