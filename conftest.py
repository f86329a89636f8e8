"""Registers this repository's own pytest plugin, and how Hypothesis runs here."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

pytest_plugins = ["postlaw_common.testing.plugin"]

# How long an example takes tells how busy the machine is (and, on a fresh clone, that Hypothesis makes its tables): no test asserts it.
settings.register_profile("postlaw", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("postlaw")
