"""What a consent or a withdrawal is of, in a few words."""

from __future__ import annotations

from postlaw.consent.v1 import consent_pb2 as consent


def scope_text(scope: consent.Scope) -> str:
    """For example `list lst_1`, or `everything`."""
    return ", ".join(field.name if value is True else f"{field.name.removesuffix('_id')} {value}" for field, value in scope.ListFields())
