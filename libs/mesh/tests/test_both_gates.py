"""Consent and sending know each other's contract alone: here they are held against each other."""

from __future__ import annotations

from typing import get_args

import pytest

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw_common.testing.promises import promise
from postlaw_consent.domain.event import CLOSING, OF_EVERYTHING, Kind
from postlaw_sending.stop.scope import EVERYTHING
from postlaw_sending.stop.wire import closing


@pytest.mark.parametrize("kind", get_args(Kind))
@promise("M6")
def test_an_act_that_consent_takes_through_the_stop_closes_the_second_gate_and_no_other_does(kind: Kind) -> None:
    """But for a no to tracking, which stops no message."""
    event = consent.ConsentEvent(
        tenant_id="ten_1",
        address_key=b"key",
        kind=consent.ConsentEvent.Kind.Value(f"KIND_{kind.upper()}"),
        scope=consent.Scope(list_id="lst_1"),
    )
    heard = closing(event.SerializeToString())
    if kind not in CLOSING or kind == "tracking_withdrawn":
        assert heard is None
    else:
        assert heard is not None and heard[1] == (EVERYTHING if kind in OF_EVERYTHING else "list:lst_1")
