"""Identity's signing keys, and how one follows another without a moment in which a good token is refused.

A key is published before it signs, so that every verifier has fetched it by then; its predecessor stays published until the
last token that it can have signed has lapsed. All keys stand in one document, so that a rotation is one write.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

TOKEN_LIFE_US = 300_000_000  # a context lives five minutes at most
CLOCKS_DIFFER_US = 60_000_000  # between any two machines of an installation
RING_KNOWN_US = 10_000_000  # how long an instance of identity may sign by a ring that it read before


@dataclass(frozen=True, slots=True)
class SigningKey:
    """Ed25519. `wrapped`: the 32-byte seed under the root key. What the key signs counts from `not_before_us` to `not_after_us`
    (0: no end yet); it signs from `signs_from_us` on, until another one does."""

    key_id: str
    public_key: bytes
    wrapped: bytes
    not_before_us: int
    signs_from_us: int
    not_after_us: int = 0


@dataclass(frozen=True, slots=True)
class KeyRing:
    """At least one key; `version` grows with each rotation."""

    keys: tuple[SigningKey, ...]
    version: int

    def signer(self, now_us: int) -> SigningKey:
        """The youngest key whose time to sign has come; before any has (a clock that is behind), the oldest."""
        ready = [key for key in self.keys if key.signs_from_us <= now_us]
        return max(ready or self.keys[:1], key=lambda key: key.signs_from_us)

    def published(self, now_us: int) -> tuple[SigningKey, ...]:
        """What verifiers believe, the coming key included."""
        return tuple(key for key in self.keys if not key.not_after_us or key.not_after_us > now_us)

    def coming(self, now_us: int) -> SigningKey | None:
        """The key that is published but does not sign yet."""
        return next((key for key in self.keys if key.signs_from_us > now_us), None)

    def rotated(self, fresh: SigningKey, now_us: int) -> KeyRing:
        """The ring with `fresh`. Each key without an end is given one; those past theirs are gone, and their seeds with them."""
        end = fresh.signs_from_us + RING_KNOWN_US + TOKEN_LIFE_US + CLOCKS_DIFFER_US
        kept = tuple(key if key.not_after_us else replace(key, not_after_us=end) for key in self.published(now_us))
        return KeyRing((*kept, fresh), self.version + 1)


def first_ring(fresh: SigningKey) -> KeyRing:
    return KeyRing((fresh,), 1)
