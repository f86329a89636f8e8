"""Rows that an import refuses or warns of: each with its reason, in totals that add up and a report that is safe to open."""

from __future__ import annotations

import csv
import io
from typing import Any

from .import_files import counts, rows


async def test_each_refused_row_has_a_reason_and_the_totals_add_up(world: Any) -> None:
    list_id = await world.make_list()
    data = (
        b"email,name\nann@example.com,Ann\n,Nobody\nno-at-sign,X\nbob@example.com,Bob,extra\nANN@Example.com,Again\nnul@example.com,a\0b\n"
        b"long@example.com," + b"x" * 20_000 + b'\nquo@example.com,"ab"c\n\n'
        b"last@example.com,Last"
    )
    done = await world.imported(list_id, data)
    assert dict(done.refused_by_reason) == {
        "no_address": 1,
        "invalid_address": 1,
        "too_many_cells": 1,
        "duplicate_in_file": 1,
        "control_character": 1,
        "row_too_long": 1,
        "bad_quotes": 1,
    }
    assert counts(done) == (9, 2, 0, 0, 7)
    report = list(csv.reader(io.StringIO(await world.report(done.import_id))))
    assert report[0] == ["row", "reason", "column", "email", "name"]
    assert [(row[0], row[1], row[2]) for row in report[1:5]] == [
        ("3", "no_address", "email"),
        ("4", "invalid_address", "email"),
        ("5", "too_many_cells", ""),
        ("6", "duplicate_in_file", "email"),
    ]


async def test_duplicates_far_apart_in_a_file_are_refused(world: Any) -> None:
    list_id = await world.make_list()
    done = await world.imported(list_id, rows(7000) + b"P0@example0.com,Again\n")
    assert counts(done) == (7001, 7000, 0, 0, 1)
    assert dict(done.refused_by_reason) == {"duplicate_in_file": 1}


async def test_duplicates_of_a_person_from_before_are_refused_too(world: Any) -> None:
    list_id = await world.make_list()
    await world.imported(list_id, b"email\np0@example0.com\n")
    done = await world.imported(list_id, rows(7000) + b"P0@example0.com,Again\n")
    assert counts(done) == (7001, 6999, 1, 0, 1)


async def test_bad_looking_addresses_are_taken_and_counted_and_stand_in_the_report(world: Any) -> None:
    list_id = await world.make_list()
    data = (
        b"email,name\nann@example.com,Ann\ninfo@mailinator.com,=1\nbob@gmial.com,Bob\n"
        b"nobody,x\nINFO@mailinator.com,again\nspamtrap@example.com,\n"
    )
    done = await world.imported(list_id, data)
    assert (done.rows, done.added, done.refused) == (6, 4, 2), "nobody is refused for it"
    assert dict(done.warnings) == {"role_address": 1, "disposable_domain": 2, "mistyped_domain": 1, "trap_like": 1}
    report = list(csv.reader(io.StringIO(await world.report(done.import_id))))
    assert [row[:3] for row in report[1:]] == [
        ["3", "warning:role_address", "email"],
        ["3", "warning:disposable_domain", "email"],
        ["4", "warning:mistyped_domain", "email"],
        ["4", "warning:disposable_domain", "email"],
        ["5", "invalid_address", "email"],
        ["6", "duplicate_in_file", "email"],
        ["7", "warning:trap_like", "email"],
    ]
    assert report[1][3:] == ["info@mailinator.com", "'=1"]


async def test_formula_cells_are_defused_in_the_report(world: Any) -> None:
    list_id = await world.make_list()
    done = await world.imported(list_id, b'email,name\n=cmd|calc,+1\n@x,-2\nbad,"\t3"\n')
    cells = [row[3:] for row in csv.reader(io.StringIO(await world.report(done.import_id)))][1:]
    assert cells == [["'=cmd|calc", "'+1"], ["'@x", "'-2"], ["bad", "'\t3"]]
