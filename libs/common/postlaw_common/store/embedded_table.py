"""One collection of the embedded store as SQL: a table with the packed document, its version, and a column for each index."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from postlaw_common.store import AlreadyExists, CollectionSpec, Document, VersionConflict, end_of, packed

Row = tuple[object, ...]  # _id, body, then the values of the indexed fields; `v` is the table's own

STATEMENT_ROWS = 200
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


def unpack(version: int, body: bytes) -> Document:
    document = packed.unpack(body)
    document["v"] = version
    return document


@dataclass(slots=True)
class Table:
    """SQL for one collection. Every method runs on a thread of the store, inside a transaction where it writes."""

    spec: CollectionSpec
    name: str = field(init=False)
    columns: str = field(init=False)
    fields: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.fields = tuple(index.field for index in self.spec.indexes)
        for name in (self.spec.name, *self.fields):
            if not NAME.fullmatch(name):  # names stand inside SQL
                raise ValueError(f"not a name for a collection or an index: {name!r}")
        self.name = f'"c_{self.spec.name}"'
        self.columns = "_id, body" + "".join(f', "f_{name}"' for name in self.fields)

    def row(self, document: Document) -> Row:
        """Packed by the caller, so that a document that cannot be packed is its own caller's error alone."""
        id = document["_id"]
        if type(id) is not str:
            raise TypeError(f"_id must be a str, not {type(id).__name__}")
        if not self.fields:
            return id, packed.pack(self.spec.name, id, document)
        return (id, packed.pack(self.spec.name, id, document), *[self.indexed(document, name) for name in self.fields])

    @staticmethod
    def indexed(document: Document, name: str) -> str | bytes | None:
        value = document.get(name)
        if value is not None and not isinstance(value, str | bytes):
            raise TypeError(f"{name} is indexed and must be str, bytes or None, not {type(value).__name__}")
        return value

    def column(self, name: str) -> str:
        if all(index.field != name for index in self.spec.indexes):
            raise KeyError(f"{self.spec.name} has no index on {name}")
        return f'"f_{name}"'

    def ensure(self, connection: sqlite3.Connection) -> None:
        """Makes the table and what indexes it lacks; a new index takes in the documents that are there."""
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {self.name} (_id TEXT NOT NULL PRIMARY KEY, v INTEGER NOT NULL DEFAULT 1, body BLOB NOT NULL)"
        )
        there = {row[1] for row in connection.execute(f"PRAGMA table_info({self.name})")}
        for index in self.spec.indexes:
            column = f"f_{index.field}"
            if column not in there:
                connection.execute(f'ALTER TABLE {self.name} ADD COLUMN "{column}"')
                # A connection may be written while it is read, as long as the rows changed lie behind.
                for id, body in connection.execute(f"SELECT _id, body FROM {self.name}"):
                    value = self.indexed(packed.unpack(body), index.field)
                    connection.execute(f'UPDATE {self.name} SET "{column}" = ? WHERE _id = ?', (value, id))
            unique = "UNIQUE" if index.unique else ""
            order = "" if index.unique else ", _id"
            connection.execute(
                f'CREATE {unique} INDEX IF NOT EXISTS "i_{self.spec.name}_{index.field}_{unique.lower()}" '
                f'ON {self.name} ("{column}"{order}) WHERE "{column}" IS NOT NULL'
            )

    def insert(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> set[str]:
        """The `_id`s of those that were there already."""
        existing: set[str] = set()
        for first in range(0, len(rows), STATEMENT_ROWS):
            part = rows[first : first + STATEMENT_ROWS]
            row = f"({', '.join('?' * len(part[0]))})"
            values = ", ".join([row] * len(part))
            flat = [value for row in part for value in row]
            try:
                # A statement that fails undoes itself alone; nearly always all are new, and this is one step into SQLite.
                connection.execute(f"INSERT INTO {self.name} ({self.columns}) VALUES {values}", flat)
            except sqlite3.IntegrityError:
                new = connection.execute(
                    f"INSERT INTO {self.name} ({self.columns}) VALUES {values} ON CONFLICT DO NOTHING RETURNING _id", flat
                ).fetchall()
                inserted = {id for (id,) in new}
                for row in part:
                    if row[0] in inserted:
                        inserted.discard(row[0])  # once: a second one with this `_id` found the first there
                    else:
                        existing.add(str(row[0]))
        return existing

    def insert_in_order(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> int:
        """How many went in before the first that was there already."""
        return next((place for place, row in enumerate(rows) if self.insert(connection, [row])), len(rows))

    def replace(self, connection: sqlite3.Connection, row: Row, version: int) -> None:
        sets = ", ".join(f"{column} = ?" for column in self.columns.split(", ")[1:])
        try:
            changed = connection.execute(
                f"UPDATE {self.name} SET v = v + 1, {sets} WHERE _id = ? AND v = ?", (*row[1:], row[0], version)
            ).rowcount
        except sqlite3.IntegrityError as error:
            raise AlreadyExists(f"{self.spec.name}/{row[0]}: a unique value is taken") from error
        if not changed:
            raise VersionConflict(f"{self.spec.name}/{row[0]} is not at version {version}")

    def replace_many(self, connection: sqlite3.Connection, rows: Sequence[tuple[Row, int]]) -> None:
        for row, version in rows:
            with suppress(VersionConflict):
                self.replace(connection, row, version)

    def delete(self, connection: sqlite3.Connection, id: str, version: int | None) -> bool:
        if version is None:
            return connection.execute(f"DELETE FROM {self.name} WHERE _id = ?", (id,)).rowcount > 0
        if connection.execute(f"DELETE FROM {self.name} WHERE _id = ? AND v = ?", (id, version)).rowcount:
            return True
        if connection.execute(f"SELECT 1 FROM {self.name} WHERE _id = ?", (id,)).fetchone():
            raise VersionConflict(f"{self.spec.name}/{id} is not at version {version}")
        return False

    def get(self, connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, Document]:
        found: dict[str, Document] = {}
        for first in range(0, len(ids), STATEMENT_ROWS):
            part = ids[first : first + STATEMENT_ROWS]
            marks = ",".join("?" * len(part))
            for id, version, body in connection.execute(f"SELECT _id, v, body FROM {self.name} WHERE _id IN ({marks})", part):
                found[id] = unpack(version, body)
        return found

    def page(self, connection: sqlite3.Connection, name: str | None, value: str | bytes | None, after: str, limit: int) -> list[Document]:
        where, values = self._where(name, value)
        rows = connection.execute(
            f"SELECT v, body FROM {self.name} WHERE {where}_id > ? ORDER BY _id LIMIT ?", (*values, after, limit)
        ).fetchall()
        return [unpack(version, body) for version, body in rows]

    def under(self, connection: sqlite3.Connection, prefix: str, after: str, limit: int) -> list[Document]:
        rows = connection.execute(
            f"SELECT v, body FROM {self.name} WHERE _id > ? AND _id < ? ORDER BY _id LIMIT ?", (max(after, prefix), end_of(prefix), limit)
        ).fetchall()
        return [unpack(version, body) for version, body in rows]

    def count(self, connection: sqlite3.Connection, name: str | None, value: str | bytes | None) -> int:
        where, values = self._where(name, value)
        return connection.execute(f"SELECT count(*) FROM {self.name} WHERE {where}true", values).fetchone()[0]

    def _where(self, name: str | None, value: str | bytes | None) -> tuple[str, list[str | bytes | None]]:
        return ("", []) if name is None else (f"{self.column(name)} = ? AND ", [value])
