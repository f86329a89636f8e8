"""Asks a probe and says yes or no by the exit code, for container health checks: `python -m postlaw_common.probe [URL]`.

Without a URL it asks this container's own `/readyz`, on POSTLAW_HEALTH_PORT. A module of its own, since an image without a shell's
tools has no curl, and since it must start quickly: it imports the standard library alone.
"""

from __future__ import annotations

import http.client
import os
import sys
from urllib.parse import urlsplit

TIMEOUT_S = 2.0


def ready(url: str) -> bool:
    """Whether the address answers 200 within two seconds."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", parts.path or "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    asked = sys.argv[1] if len(sys.argv) > 1 else f"http://127.0.0.1:{os.environ.get('POSTLAW_HEALTH_PORT', '9000')}/readyz"
    sys.exit(0 if ready(asked) else 1)
