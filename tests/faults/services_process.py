"""Some services in one process, on what the environment says: `python services_process.py identity subscribers`."""

from __future__ import annotations

import sys

from postlaw_common.runner import run_process
from postlaw_mesh.builders import builders

if __name__ == "__main__":
    made = builders()
    sys.exit(run_process("postlaw-" + "-".join(sys.argv[1:]), [made[name] for name in sys.argv[1:]]))
