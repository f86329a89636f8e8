"""The mesh of docker-compose.yml as separate processes: two sending workers, Kafka, a MongoDB-wire server, S3 with Object Lock."""

from __future__ import annotations

import json
from typing import Any

from postlaw_common.testing.promises import promise
from postlaw_mesh.demo.journey import journey

PEOPLE, OPT_OUTS = 2_000, 40
# A dozen processes and another test share the machine: who waits longer than six seconds is told *recorded*, and rightly. They ask again.
# All are *stopped* then but those, if any, who were being mailed by a worker that was so slow that it counted as lost.
PATIENCE_S, STOPPED_SHARE = 60.0, 0.9


@promise("M6", "S8")
async def test_what_stops_in_one_process_stops_across_processes(composed_mesh: Any) -> None:
    result = await journey(
        composed_mesh.ready(), PEOPLE, OPT_OUTS, quiet=True, stopped_share=STOPPED_SHARE, patience_s=PATIENCE_S
    )  # LawBroken

    took_part = [name for name in ("sending-worker-1", "sending-worker-2") if composed_mesh.programs[name].logged("partitions_taken")]
    assert took_part == ["sending-worker-1", "sending-worker-2"]
    assert int(result["totals"]["sent"]) > 0
    assert result["verdict"]["opt_outs"] == OPT_OUTS
    print(json.dumps(result["verdict"]))

    checked = composed_mesh.once("audit", "audit", "verify", "--json")
    assert json.loads(checked)["valid"]

    reconciled = [json.loads(line) for line in composed_mesh.once("credentials", "reconcile", "--json").splitlines()]
    assert {one["service"] for one in reconciled} == {"audit", "consent", "sending"}
    assert not [one for one in reconciled if int(one["differences"])]
    looked_at = {one["check"]: int(one["looked_at"]) for one in reconciled}
    # What a call took too long to publish, a relay publishes as well, and a batch of a lost worker may be settled twice: each with one id.
    assert looked_at["bus against ledger"] >= looked_at["ledger against suppression"] >= PEOPLE + OPT_OUTS
    assert looked_at["outcomes against batches"] >= looked_at["batches against outcomes"] > 0
    assert looked_at["jobs against batches"] > 0
    print(json.dumps({f"{one['service']}: {one['check']}": [one["looked_at"], one["began_at"], one["finished_at"]] for one in reconciled}))
