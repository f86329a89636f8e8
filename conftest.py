"""Registers this repository's own pytest plugin."""

from __future__ import annotations

pytest_plugins = ["postlaw_common.testing.plugin"]
