"""Rows out of CSV in pieces: the same rows however the text is cut, and one bad row never costs its neighbours."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlaw_common.csv_lines import defused
from postlaw_subscribers.domain.csv_header import BadHeader, read_header, sniff
from postlaw_subscribers.domain.csv_rows import ROW_LIMIT, RowReader, rows_of
from postlaw_subscribers.domain.import_job import Columns
from postlaw_subscribers.refused_rows import Refusal, lines

CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12)


def in_pieces(data: bytes, cuts: list[int]) -> tuple[list[tuple[int, tuple[str, ...], str]], RowReader]:
    reader = RowReader(",")
    rows = []
    start = 0
    for cut in sorted(cuts):
        cut = min(cut, len(data))
        rows += reader.feed(data[start:cut])
        start = max(start, cut)
    rows += reader.feed(data[start:], last=True)
    return [(row.number, tuple(row.cells), row.reason) for row in rows], reader


@given(st.lists(st.lists(CELL, min_size=1, max_size=4), max_size=8), st.lists(st.integers(0, 300), max_size=6))
def test_what_was_written_is_read_however_it_is_cut(table: list[list[str]], cuts: list[int]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(table)
    data = text.getvalue().encode()
    rows, reader = in_pieces(data, cuts)
    assert [list(cells) for _, cells, _ in rows] == table
    assert [number for number, _, _ in rows] == list(range(1, len(table) + 1))
    assert reader.offset == len(data)


@given(st.text(st.sampled_from('a,"\n'), max_size=60), st.lists(st.integers(0, 60), max_size=5))
def test_any_text_gives_the_same_rows_however_it_is_cut(text: str, cuts: list[int]) -> None:
    data = text.encode()
    whole, _ = in_pieces(data, [])
    assert in_pieces(data, cuts)[0] == whole


@given(st.text(st.sampled_from('ab,"\n'), max_size=80), st.integers(0, 80))
def test_reading_goes_on_at_a_checkpoint(text: str, cut: int) -> None:
    data = text.encode()
    whole, _ = in_pieces(data, [])
    first = RowReader(",")
    rows = first.feed(data[:cut])
    second = RowReader(",", offset=first.offset, next_number=first.next_number)
    rows += second.feed(data[first.offset :], last=True)
    assert [(row.number, tuple(row.cells), row.reason) for row in rows] == whole


@pytest.mark.parametrize(("end", "reason"), [('c,"fine"\n', "bad_quotes"), ("c,fine\n", "unclosed_quote"), ('c,fine"\n', "unclosed_quote")])
def test_an_unclosed_quote_costs_its_own_line_only(end: str, reason: str) -> None:
    text = 'a,"open\n' + "".join(f"b{i},x\n" for i in range(5000)) + end
    rows = list(rows_of(text))
    assert (rows[0].reason, rows[0].cells) == (reason, ['a,"open'])
    assert [row.reason for row in rows[1:]] == [""] * 5001
    assert rows[-1].cells[0] == "c"


def test_an_unclosed_quote_at_the_end_is_refused() -> None:
    assert [row.reason for row in rows_of('a,b\nc,"d\ne,f\n')] == ["", "unclosed_quote", ""]


def test_an_endless_line_is_dropped_as_it_comes_and_refused_once() -> None:
    reader = RowReader(",")
    assert reader.feed(b"a,b\n")[0].cells == ["a", "b"]
    rows = []
    for _ in range(50):
        rows += reader.feed(b"x" * 65_536)
    assert [row.reason for row in rows] == ["row_too_long"]
    assert [row.cells for row in reader.feed(b"\nc,d\n")] == [["c", "d"]]
    assert reader.offset == 4 + 50 * 65_536 + 5


def test_a_row_of_the_limit_is_taken_and_one_character_more_is_not() -> None:
    assert [row.reason for row in rows_of("x" * ROW_LIMIT + "\n" + "y" * (ROW_LIMIT + 1) + "\nz\n")] == ["", "row_too_long", ""]


def test_the_separator_is_the_one_that_occurs_most_outside_quotes() -> None:
    assert sniff('email;"a,b,c,d";name') == ";"
    assert sniff("email\tname") == "\t"
    assert sniff("email") == ","


def test_a_header_may_hold_quoted_line_ends() -> None:
    header = read_header(b'\n"e-mail","first\nname"\nann@example.com,Ann\n')
    assert header.names == ("e-mail", "first\nname")
    assert header.address_at == 0
    assert header.end == len(b'\n"e-mail","first\nname"\n')


def test_a_missing_address_column_is_named() -> None:
    with pytest.raises(BadHeader, match="address_column"):
        read_header(b"who,name\n")
    with pytest.raises(BadHeader, match="address_column"):
        read_header(b"email,name\n", Columns(address="mail"))


def test_columns_of_consent_are_found_by_their_usual_names_or_by_the_names_given() -> None:
    header = read_header(b"email,Country,evidence,OPTIN_TIME,ip,form\n")
    assert (header.territory_at, header.grade_at, header.time_at, header.ip_at, header.form_at) == (1, 2, 3, 4, 5)
    assert not read_header(b"email,name\n").says_of_consent
    assert read_header(b"email,Wohnort,country\n", Columns(territory="wohnort")).territory_at == 1
    with pytest.raises(BadHeader, match="grade_column"):
        read_header(b"email,name\n", Columns(grade="proof"))


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\n=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff20x"])
def test_cells_that_a_spreadsheet_would_run_are_defused(cell: str) -> None:
    assert defused(cell) == "'" + cell
    assert next(csv.reader(io.StringIO(lines([Refusal(2, "no_address", "", [cell])]).decode(), newline="")))[3] == "'" + cell
