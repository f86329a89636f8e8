"""Every vector as it was given, and every case of our own, each by its id."""

from __future__ import annotations

import pytest

from libs.law.tests import law_cases
from postlaw_law.loading import the_law

GIVEN = [id for id in law_cases.BY_ID if id.startswith(("dv-", "dc-"))]
OWN = [id for id in law_cases.BY_ID if id not in GIVEN]


@pytest.mark.parametrize("id", GIVEN)
def test_a_given_vector_has_the_answer_that_it_expects(id: str) -> None:
    outcome = law_cases.run(id, the_law())
    assert not outcome.wrong
    assert outcome.passed, f"{outcome.differs}: {outcome.expected} expected, {outcome.answer} answered"


@pytest.mark.parametrize("id", OWN)
def test_a_case_of_our_own_has_the_answer_that_it_expects(id: str) -> None:
    outcome = law_cases.run(id, the_law())
    assert not outcome.wrong
    assert outcome.passed, f"{outcome.differs}: {outcome.expected} expected, {outcome.answer} answered"


def test_no_two_cases_share_an_id() -> None:
    ids = [vector["id"] for document in law_cases.DOCUMENTS for vector in document["vectors"]]
    assert sorted(ids) == sorted(law_cases.BY_ID)
