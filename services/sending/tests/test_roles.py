"""POSTLAW_SENDING_ROLE: what a process of sending does."""

from __future__ import annotations

import pytest

from postlaw_common.settings import WrongSettings, load
from postlaw_sending.settings import ROLES, SendingSettings


@pytest.mark.parametrize(
    ("given", "has"), [("", ROLES), ("all", ROLES), ("api", {"api"}), ("api,planner", {"api", "planner"}), ("worker", {"worker"})]
)
def test_a_process_has_the_roles_that_it_is_given(given: str, has: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTLAW_SENDING_ROLE", given)
    settings = load(SendingSettings)
    assert {role for role in ROLES if settings.has_role(role)} == has


@pytest.mark.parametrize("given", ["plan", "api,plan", ",", "all,api"])
def test_a_role_that_there_is_not_is_refused_with_those_that_there_are(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTLAW_SENDING_ROLE", given)
    with pytest.raises(WrongSettings, match=r"POSTLAW_SENDING_ROLE.*all, or some of api, planner, worker and returns"):
        load(SendingSettings)
