"""What a process does not load."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import pytest

from postlaw_common.memory import without


def test_a_module_is_not_found_while_others_are_imported_without_it_and_is_there_again_afterwards() -> None:
    with without("json"), pytest.raises(ImportError):
        importlib.import_module("json")
    assert sys.modules["json"] is json


def test_a_process_that_logs_and_asks_over_http_loads_nothing_for_terminals() -> None:
    loads = "import sys, postlaw_common.telemetry.log, postlaw_common.http_client; print({'rich', 'pygments'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True)
    assert said.stdout == "set()\n"
