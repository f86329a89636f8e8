"""Errors as RFC 9457 problem details."""

from __future__ import annotations

from postlaw_common.errors import FieldError, Invalid, PostlawError, RateLimited, Unauthenticated
from postlaw_common.problems import headers, problem


def test_a_problem_names_its_stable_type_and_every_wrong_field() -> None:
    assert problem(Invalid("name: is required", fields=[FieldError("name", "is required")])) == {
        "type": "https://postlaw.dev/problems/invalid-request",
        "title": "The request is not valid",
        "status": 400,
        "detail": "name: is required",
        "fields": [{"field": "name", "message": "is required"}],
    }


def test_an_unexpected_failure_names_its_incident() -> None:
    assert problem(PostlawError("It failed.", incident="inc_1"))["instance"] == "urn:postlaw:incident:inc_1"


def test_whoever_should_come_again_is_told_when_in_whole_seconds() -> None:
    assert headers(RateLimited("slowly", retry_after_s=1.2))["retry-after"] == "2"
    assert headers(RateLimited("slowly", retry_after_s=0))["retry-after"] == "1"
    assert "retry-after" not in headers(Invalid("no"))
    assert headers(Unauthenticated("who?"))["www-authenticate"] == "Bearer"
