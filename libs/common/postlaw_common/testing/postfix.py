"""A real Postfix of a test's own, on loopback, where this machine has one: the Debian package, in a folder of its own.

Its master gives up rights that only root has, so that other users' runs are without it.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

from postlaw_common.free_ports import free_port

_STARTS_WITHIN_S = 60.0
_SERVICES = """\
127.0.0.1:{port} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
proxymap unix - - n - - proxymap
"""


@cache
def postfix_program() -> str:
    """Empty where there is none that we may start."""
    return (shutil.which("postfix", path="/usr/sbin:/usr/local/sbin") or "") if os.geteuid() == 0 else ""


def header() -> str:
    return f"postfix: {postfix_program() or 'left out: apt-get install postfix, and run as root'}"


@contextmanager
def postfix_to(relay_port: int, **settings: str) -> Generator[int]:
    """Takes mail from loopback at the port that it gives, and relays all of it to that one. `settings`: more lines of main.cf."""
    # Not below pytest's folder: each pytest that starts closes that to others, and Postfix's processes run as another user.
    with tempfile.TemporaryDirectory(prefix="postlaw-postfix-", ignore_cleanup_errors=True) as folder:
        yield from _running(Path(folder), relay_port, settings)


def _running(folder: Path, relay_port: int, settings: dict[str, str]) -> Generator[int]:
    folder.chmod(0o755)
    for name in ("etc", "spool", "data"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix")
    port = free_port()
    lines = {
        "compatibility_level": "3.6",
        "queue_directory": f"{folder}/spool",
        "data_directory": f"{folder}/data",
        "maillog_file": f"{folder}/log",
        "maillog_file_prefixes": str(folder),
        "mail_owner": "postfix",
        "setgid_group": "postdrop",
        "myhostname": "postfix.example",
        "mydestination": "",
        "alias_maps": "",
        "inet_interfaces": "127.0.0.1",
        "inet_protocols": "ipv4",
        "mynetworks": "127.0.0.0/8",
        "relayhost": f"[127.0.0.1]:{relay_port}",
        "smtp_dns_support_level": "disabled",
        "smtp_host_lookup": "native",
    }
    (folder / "etc/main.cf").write_text("".join(f"{name} = {value}\n" for name, value in (lines | settings).items()))
    (folder / "etc/master.cf").write_text(_SERVICES.format(port=port))
    command = [postfix_program(), "-c", f"{folder}/etc"]
    running = subprocess.Popen([*command, "start-fg"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await_greeting(port, running, folder / "log")
        yield port
    finally:
        subprocess.run([*command, "abort"], check=False, capture_output=True)
        running.wait(timeout=20)


def _await_greeting(port: int, running: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _STARTS_WITHIN_S
    while True:
        try:
            with closing(socket.create_connection(("127.0.0.1", port), timeout=5)) as found:
                if found.recv(100).startswith(b"220 "):
                    return
        except OSError:
            pass
        if running.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"Postfix did not start:\n{log.read_text()[-2000:] if log.exists() else 'no log'}")
        time.sleep(0.05)
