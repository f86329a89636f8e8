"""An address so that its owner knows it again, and nobody else learns it."""

from __future__ import annotations

_HIDDEN = "•••"  # always three: how long a name is tells something, too


def mask(address: str) -> str:
    """j•••@e•••.com: the first letter of the local part and of the domain, and the top-level domain. `address` is normalised."""
    local, _, domain = address.rpartition("@")
    name, _, top = domain.rpartition(".")
    return f"{local[:1]}{_HIDDEN}@{name[:1]}{_HIDDEN}.{top}"
