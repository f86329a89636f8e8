"""A message that could not be made for one recipient."""

from __future__ import annotations


class RenderFailed(Exception):
    """`reason`: short, stable, and without personal data; it becomes the recipient's reason for `failed`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
