"""A/B tests' protobuf on one side, plain values on the other."""

from __future__ import annotations

from collections.abc import Sequence

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_sending.campaigns.domain.ab_test import AbTest, Measure, Variant
from postlaw_sending.campaigns.domain.campaign import Template

_MEASURE = {
    Measure.BY_HAND: sending.AbTest.MEASURE_UNSPECIFIED,
    Measure.CLICKS: sending.AbTest.MEASURE_CLICKS,
    Measure.OPENS: sending.AbTest.MEASURE_OPENS,
}
_MEASURE_BACK = {number: measure for measure, number in _MEASURE.items()}
_MINUTE_US = 60_000_000


def ab_test_to_wire(test: AbTest, responses: Sequence[int]) -> sending.AbTest:
    message = sending.AbTest(measure=_MEASURE[test.measure], decide_after_minutes=test.decide_after_us // _MINUTE_US, winner=test.winner)
    for number, variant in enumerate(test.variants):
        words = variant.template
        message.variants.add(
            template=sending.VariantWords(subject=words.subject, html=words.html, text=words.text),
            share=variant.share,
            responses=responses[number] if responses else 0,
        )
    if test.decided_at_us:
        message.decided_at.FromMicroseconds(test.decided_at_us)
        message.decided_by = "/".join(filter(None, test.decided_by)) or "measure"
    return message


def ab_test_from_wire(message: sending.AbTest) -> AbTest:
    kind, _, id = message.decided_by.partition("/")
    return AbTest(
        variants=tuple(
            Variant(Template(variant.template.subject, variant.template.html, variant.template.text), variant.share)
            for variant in message.variants
        ),
        measure=_MEASURE_BACK.get(message.measure, Measure.BY_HAND),
        decide_after_us=message.decide_after_minutes * _MINUTE_US,
        winner=message.winner,
        decided_at_us=message.decided_at.ToMicroseconds(),
        decided_by=(kind, id) if id else ("", ""),
    )
