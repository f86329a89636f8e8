"""Dataclasses to protobuf and back: nothing is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from postlaw_subscribers import wire
from postlaw_subscribers.domain.digest import FORMATS
from postlaw_subscribers.domain.import_job import Attestation, Checkpoint, Columns, Counts, ImportJob, Outcome, Settings, State
from postlaw_subscribers.domain.person import MailingList

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
MOMENT = st.integers(0, 4_000_000_000_000_000)
WORDS = st.lists(TEXT, max_size=3).map(tuple)
ATTESTATION = st.builds(Attestation, TEXT, TEXT, TEXT, st.just(0) | MOMENT, WORDS, WORDS, TEXT, TEXT, TEXT)
COLUMNS = st.builds(Columns, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT)
SUPPRESSING = st.builds(
    Settings, st.just(""), TEXT, TEXT, COLUMNS, suppress_source=TEXT.filter(bool), suppress_format=st.sampled_from(FORMATS)
)
SETTINGS = st.builds(Settings, TEXT, TEXT, TEXT, COLUMNS, st.one_of(st.none(), ATTESTATION)) | SUPPRESSING


@given(SETTINGS)
def test_an_imports_settings_survive_the_wire(settings: Settings) -> None:
    message = wire.settings_message(settings)
    assert wire.settings_of(type(message).FromString(message.SerializeToString())) == settings


@given(st.builds(MailingList, st.just("ten_a"), TEXT, TEXT, TEXT, MOMENT, st.integers(0, 2**40)))
def test_a_list_survives_the_wire(list_: MailingList) -> None:
    message = wire.list_message(list_)
    assert wire.list_of(type(message).FromString(message.SerializeToString()), "ten_a") == list_


@given(
    st.sampled_from(State),
    st.dictionaries(st.sampled_from(Outcome), st.integers(0, 1000)),
    st.dictionaries(st.sampled_from(["no_address", "bad_quotes"]), st.integers(0, 1000)),
)
def test_an_imports_totals_add_up_on_the_wire(state: State, taken: dict[Outcome, int], refused: dict[str, int]) -> None:
    counts = Counts().plus(taken, refused, {}).plus(taken, refused, {"unknown_territory": 1})
    job = ImportJob("ten_a", "imp_1", Settings("lst_1"), state, 10, 10, Checkpoint(5, 2, counts), "", 1, 0, "user:1")
    message = wire.import_message(job)
    taken_rows = message.added + message.updated + message.unchanged + message.suppressed + message.already_suppressed
    assert message.rows == taken_rows + message.digests_kept + message.refused
    assert message.refused == sum(message.refused_by_reason.values())
    assert message.warnings == {"unknown_territory": 1}
    assert 0 <= message.bytes_done <= message.bytes_total
    assert message.HasField("finished_at") is False
