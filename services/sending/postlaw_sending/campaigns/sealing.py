"""Where a batch belongs, bound to its seal: nobody who can write to the bus moves a batch to another campaign, partition or number."""

from __future__ import annotations


def place(campaign_id: str, partition: int, batch: int, attempt: int) -> bytes:
    """The associated data of a sealed batch."""
    return f"batch/{campaign_id}/{partition}/{batch}/{attempt}".encode()
