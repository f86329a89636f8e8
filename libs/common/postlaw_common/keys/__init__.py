"""Keys: one root key that never leaves its place wraps every other key. `open_root_key` chooses the adapter by URL."""

from __future__ import annotations

from typing import Protocol


class KeysUnavailable(Exception):
    """The key service cannot be reached."""


class UnwrapRefused(Exception):
    """The wrapped key is damaged, or was wrapped for another purpose or under a destroyed key."""


class RootKey(Protocol):
    async def start(self) -> None: ...

    async def wrap(self, key: bytes, *, purpose: str) -> bytes:
        """Wraps a data key; the wrap names its root key's version. `purpose` is bound to it as associated data."""
        ...

    async def unwrap(self, wrapped: bytes, *, purpose: str) -> bytes:
        """The data key again, under whatever version it was wrapped. Raises UnwrapRefused."""
        ...

    async def rotate(self) -> int:
        """From now on wrap under a new version, which is returned; older wraps stay readable."""
        ...

    async def close(self) -> None: ...


def open_root_key(url: str, *, state: str) -> RootKey:
    """`file:` (a file of mode 0600 below `state`) or `awskms:KEY-ID?endpoint=…&region=…`; the port leaves room for PKCS#11."""
    if url.startswith("file:"):
        from postlaw_common.keys.embedded import FileRootKey

        return FileRootKey(state)
    if url.startswith("awskms:"):
        from postlaw_common.keys.awskms import KmsRootKey

        return KmsRootKey(url)
    raise ValueError(f"POSTLAW_KEYS is {url!r}; it must begin with 'file:' or 'awskms:'")
