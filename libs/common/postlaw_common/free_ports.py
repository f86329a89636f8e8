"""Ports on loopback for whatever is started here: a mesh in one process, and the programs of tests."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import tempfile
from pathlib import Path
from typing import IO

_LOWEST = 10_000
_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
_ELSEWHERE = 32_768  # where no Linux says from which port on it gives them to outgoing connections: none is known to begin lower


class _Given:
    """Ports that one process of this user was given are not given to another one while it lives, though nobody listens there yet: a
    dozen services that start beside another dozen on a busy machine come to it a minute later."""

    def __init__(self) -> None:
        self._ports: set[int] = set()
        self._file: IO[bytes] | None = None

    def take(self, port: int) -> bool:
        """False where it is another process's."""
        if port in self._ports:
            return False
        if self._file is None:
            try:
                self._file = (Path(tempfile.gettempdir()) / f"postlaw-ports-{os.getuid()}").open("ab")
            except OSError:
                self._ports.add(port)  # nowhere to write, as in a container that is read-only: only this process remembers
                return True
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)  # a byte a port, let go when the process ends
        except OSError:
            return False
        self._ports.add(port)
        return True


_given = _Given()


def free_port() -> int:
    """Below those that the kernel gives to outgoing connections: one of these could take it before the program listens there."""
    try:
        outgoing = int(_OUTGOING.read_text().split()[0])
    except OSError:
        outgoing = _ELSEWHERE
    while True:
        port = secrets.randbelow(max(_LOWEST, outgoing - _LOWEST)) + _LOWEST
        if not _given.take(port):
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
