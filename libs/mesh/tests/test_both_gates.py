"""Consent and sending know each other's contract alone: here they are held against each other."""

from __future__ import annotations

from typing import get_args

import pytest

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw_common.testing.promises import promise
from postlaw_consent.domain.event import CLOSING, Kind, scope_of_act
from postlaw_consent.domain.scope import EVERYTHING, PLATFORM, Scope
from postlaw_consent.wire import scope_to_wire
from postlaw_sending.stop.wire import closing, scope_text


@pytest.mark.parametrize("said", [Scope("list", "lst_1"), Scope("topic", "news"), Scope("brand", "Acme"), EVERYTHING, PLATFORM])
@pytest.mark.parametrize("kind", get_args(Kind))
@promise("M6")
def test_an_act_that_consent_takes_through_the_stop_closes_the_second_gate_and_no_other_does(kind: Kind, said: Scope) -> None:
    """But for a no to tracking, which stops no message."""
    event = consent.ConsentEvent(
        tenant_id="ten_1",
        address_key=b"key",
        kind=consent.ConsentEvent.Kind.Value(f"KIND_{kind.upper()}"),
        scope=scope_to_wire(said),
    )
    heard = closing(event.SerializeToString())
    if kind not in CLOSING or kind == "tracking_withdrawn":
        assert heard is None
    else:
        assert heard is not None and heard[1] == scope_text(scope_to_wire(scope_of_act(kind, said)))
