"""The consents of some rows, as they go to the ledger: what all of them share is attested once, what a row says itself goes beside it.

Rows differ before the law by territory and grade, in few ways however many they are: each way goes out once, and of each row its number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec

from postlaw_common.crypto import seal
from postlaw_common.foreground import step_aside
from postlaw_subscribers.domain.csv_header import Header
from postlaw_subscribers.domain.row_evidence import (
    FORM_TOO_LONG,
    LONGEST_FORM,
    NOTICE_NOT_SHOWN,
    OLDER_THAN_ATTESTED,
    TIME_BEFORE_1970,
    Variants,
    instant_of,
)
from postlaw_subscribers.person_keys import PROOF_EVIDENCE, Keys
from postlaw_subscribers.rooms import ConsentLedger, Consents
from postlaw_subscribers.use_cases.import_batch import AT_ONCE, Candidate, ImportSource, Result

_encode = msgspec.json.Encoder().encode


async def record_consents(ledger: ConsentLedger, source: ImportSource, consents: Consents, result: Result) -> None:
    """What the customer attests is the same of everyone, so it is sealed once, under the customer's key. Raises PostlawError."""
    if source.attested is not None and consents.address_keys:
        missed = await ledger.record(source.list_id, consents, source.wrapping.seal_attestation(source.attestation))
        if missed:
            result.warn(NOTICE_NOT_SHOWN, missed)


async def consents_of(source: ImportSource, candidates: Sequence[Candidate], taken: Mapping[bytes, Keys], result: Result) -> Consents:
    """Of those who were taken, ascending by address key. What is wrong with a row's cells is counted in `result`."""
    attested, header = source.attested, source.header
    if attested is None or not header.says_of_consent:
        return Consents(list(taken))
    variants = Variants(attested.territories)
    anchored_us = attested.collected_us if attested.relationship else 0
    read = partial(_own_evidence, source, _reader(header), variants, anchored_us, result)
    consents = Consents([], variants.all, [], [])
    of_rows = header.time_at is not None or header.form_at is not None
    for start in range(0, len(candidates), AT_ONCE):
        for candidate in candidates[start : start + AT_ONCE]:
            keys = taken.get(candidate.address_key)
            if keys is None or (found := read(candidate.row.cells)) is None:
                continue
            variant, evidence, at_us = found
            consents.address_keys.append(candidate.address_key)
            consents.variant_of.append(variant)
            if header.time_at is not None:
                consents.given_at_us.append(at_us)
            if of_rows:
                place = source.wrapping.place(candidate.address_key, PROOF_EVIDENCE)
                consents.evidence.append(seal(keys.proof, _encode(evidence), place) if evidence else b"")
        await step_aside()
    return consents


def _reader(header: Header) -> Callable[[Sequence[str]], tuple[str, str, str, str, str]]:
    """Of a row: territory, grade, time, ip and form, each "" where it has none."""
    places = (header.territory_at, header.grade_at, header.time_at, header.ip_at, header.form_at)

    def read(cells: Sequence[str]) -> tuple[str, str, str, str, str]:
        territory, grade, time, ip, form = (cells[at].strip() if at is not None and at < len(cells) else "" for at in places)
        return territory, grade, time, ip, form

    return read


def _own_evidence(
    source: ImportSource,
    reader: Callable[[Sequence[str]], tuple[str, str, str, str, str]],
    variants: Variants,
    anchored_us: int,
    result: Result,
    cells: Sequence[str],
) -> tuple[int, dict[str, str], int] | None:
    """(the row's variant, what is to be sealed for it, when it was, 0 as attested). None where the row's own time shows that it has not the
    consent attested: a relationship's clock would run from too late an instant, `anchored_us`."""
    territory, grade, time, ip, form = reader(cells)
    variant, warnings = variants.of(territory, grade)
    for warning in warnings:
        result.warn(warning)
    evidence: dict[str, str] = {}
    at_us, older = 0, False
    if time:
        at_us, fault = instant_of(time, source.now_us)
        result.saw("time", str(at_us // 1_000_000) if at_us else time)
        if fault:
            result.warn(fault)
        else:
            evidence["consented_at"] = time
        older = at_us < anchored_us if at_us else bool(anchored_us) and fault == TIME_BEFORE_1970
    if ip:
        result.saw("ip", ip.casefold())
    if form:
        result.saw("form", form)
        if len(form) > LONGEST_FORM:
            result.warn(FORM_TOO_LONG)
        else:
            evidence["form"] = form
    if older:
        result.warn(OLDER_THAN_ATTESTED)
        return None
    return variant, evidence, at_us
