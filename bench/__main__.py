"""`python -m bench NAME [options]`: every figure that the project states. The last line is one JSON object.

python -m bench stop --quick
python -m bench stop --recipients 200000 --opt-outs 1000 --runs 5
python -m bench send --recipients 50000 --campaigns 5
python -m bench send --dkim
python -m bench send --backend kafka --opt-outs 1000 --recipients 100000
python -m bench send --backend kafka --scaling
python -m bench send --backend kafka --crash
python -m bench send --memory
python -m bench import --rows 100000
python -m bench audit --entries 200000
python -m bench audit --entries 10000000 --written
python -m bench search --entries 1000000
python -m bench start
python -m bench consent --people 100000
"""

from __future__ import annotations

import importlib
import sys

BENCHES = {
    "stop": "bench.stop", "send": "bench.send", "import": "bench.imports", "audit": "bench.audit", "search": "bench.search",
    "start": "bench.start", "consent": "bench.consent",
}  # fmt: skip


def main() -> int:
    if len(sys.argv) < 2 or sys.argv[1] not in BENCHES:
        print(__doc__, file=sys.stderr)
        print(f"there are: {', '.join(BENCHES)}", file=sys.stderr)
        return 0 if sys.argv[1:] in (["--help"], ["-h"]) else 2
    return importlib.import_module(BENCHES[sys.argv[1]]).main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
