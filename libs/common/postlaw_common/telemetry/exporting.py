"""Whether anybody reads what is traced and measured. Without a collector, work that only a reader would want is left out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _Switch:
    on: bool = False


_switch = _Switch()


def exporting() -> bool:
    """True once exporters are set up (export.py), or a test reads telemetry from memory."""
    return _switch.on


def switch(on: bool) -> None:
    _switch.on = on
