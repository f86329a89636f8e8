"""Who was erased, and whose address bounced: what reaches them, and what brings them back."""

from __future__ import annotations

from postlaw_common.testing.promises import promise
from postlaw_consent.domain.fact import Terms
from postlaw_consent.domain.fold import fold
from postlaw_consent.domain.gate import Gate
from postlaw_consent.domain.message import Asked, Sender
from postlaw_consent.domain.scope import EVERYTHING, Belongs

from .histories import LAW, NOW, A, B, codes, decision, fact


def test_who_was_erased_comes_back_by_a_fresh_act_without_what_was_consented_to_before() -> None:
    history = [fact(1, "given", B), fact(2, "tracking_given", EVERYTHING), fact(3, "erased", EVERYTHING, 1)]
    assert codes(history, B) == ["ERASED"]
    back = decision([*history, fact(4, "given", A, 2, "page")], A)
    assert back.allow and back.evidence == ("4",) and not back.tracking.open
    assert codes([*history, fact(4, "given", A, 2, "page")], B) == ["ERASED"]
    assert decision(history, A).evidence == ("3",)


@promise("M6")
def test_an_erasure_takes_no_opt_out_back_and_is_none_itself() -> None:
    stopped = [fact(1, "withdrawn", EVERYTHING), fact(2, "erased", EVERYTHING, 1)]
    assert codes(stopped, A) == ["SUPPRESSED_ALL"]
    assert fold(stopped).standing_withdrawal(EVERYTHING) == 1
    erased = [fact(1, "erased"), fact(2, "withdrawn", EVERYTHING, 1)]
    assert fold(erased[:1]).standing_withdrawal(EVERYTHING) is None
    assert fold(erased).standing_withdrawal(EVERYTHING) == 2
    assert codes(erased, A) == ["SUPPRESSED_ALL"]


def test_no_consent_makes_an_address_take_mail_and_a_bounce_is_no_opt_out() -> None:
    history = [fact(1, "given", A), fact(2, "bounced", EVERYTHING, 1), fact(3, "given", A, 2, "page")]
    assert codes(history, A) == ["BOUNCED"]
    assert fold(history).standing_withdrawal(EVERYTHING) is None
    assert decision([*history, fact(4, "reachable", EVERYTHING, 3)], A).allow


def test_service_mail_does_not_go_to_an_address_that_bounced_but_a_confirmation_that_was_asked_for_does() -> None:
    state = fold([fact(1, "bounced", terms=Terms())])
    for states, allowed in ((frozenset[str](), False), (frozenset({"confirms_address"}), True)):
        message = Asked("transactional", states).by(Sender("IE"), Belongs(A))
        assert Gate(message, LAW, NOW).decide(state.person(), state.latest_us).allow is allowed
