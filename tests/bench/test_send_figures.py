"""Every figure of sending has a short form that runs through; what it says of the law holds at any size."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from postlaw_common.testing.promises import promise


def quick(*options: str) -> dict[str, Any]:
    """What `bench send --quick` prints last."""
    done = subprocess.run([sys.executable, "-m", "bench", "send", "--quick", *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_signed_campaigns_verify_and_are_held_against_what_the_cores_can_sign() -> None:
    figures = quick("--dkim")
    assert figures["signed"] and figures["sent_equals_sink"]
    assert figures["twice"] == figures["unknown"] == figures["failed"] == 0
    assert 0 < figures["share_of_signing"] <= 1


def test_memory_is_measured_at_two_sizes() -> None:
    figures = quick("--memory")
    assert figures["sent"] == figures["small"] + figures["large"]
    assert 0 < figures["peak_mb_small"] <= figures["peak_mb_large"]


@promise("M6")
def test_a_killed_worker_loses_nobody_and_mails_nobody_twice() -> None:
    figures = quick("--crash", "--backend", "kafka")
    assert figures["lost"] == figures["twice"] == figures["failed"] == 0
    assert figures["unknown"] <= figures["under_open_claims"]  # whether any stood under one is chance


@promise("M6")
def test_opt_outs_at_full_speed_are_all_obeyed() -> None:
    figures = quick("--opt-outs", "30", "--backend", "kafka")
    assert figures["mailed_after_answer"] == figures["under_way_at_answer"] == figures["unknown"] == figures["failed"] == 0
    assert figures["stopped"] == figures["opt_outs"] == 30
    assert figures["states_add_up"] and figures["sent_equals_sink"]


def test_partitions_spread_over_one_two_and_four_workers() -> None:
    figures = quick("--scaling", "--backend", "kafka")
    assert figures["sent_equals_sink"] and figures["scaling"] and figures["scaling_4"]


def test_a_figure_of_several_processes_is_refused_where_all_is_one() -> None:
    with pytest.raises(AssertionError, match="add --backend kafka"):
        quick("--crash")
