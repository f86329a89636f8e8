"""Checks the bundle of evidence that it lies in: python3 verify.py [LOG_KEY [WITNESS_KEY…]]. Needs Python 3.11 or later, and nothing else.

Each entry's place below the signed checkpoint, the bundle's signature, each file's hash; each entry is read by schema.json (the product's
contracts), compared with the facts, and printed. LOG_KEY is what GET /v1/audit/checkpoint gives: keep it; log.vkey in the bundle shows
only that it agrees with itself. Exit code 1 names the first thing that is wrong."""

import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

PLACES = ("subscriber_ids", "states", "reasons", "handed_over_after_us", "transports", "verdict_of", "ends_at_us", "events")
P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D, BASE = -121665 * pow(121666, -1, P) % P, (4 * pow(5, -1, P) % P).to_bytes(32, "little")


def need(holds: bool, wrong: str) -> None:
    if not holds:
        raise ValueError(wrong)


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while data[at] > 127 and shift < 70:
        value, shift, at = value | (data[at] & 127) << shift, shift + 7, at + 1
    return value | data[at] << shift, at + 1


def read(data: bytes, message: str, schema: Any) -> dict[str, Any]:
    """The fields of a protobuf message that the schema names: by number a name, a kind, and whether there are several."""
    found, at = dict[str, Any](), 0
    while at < len(data):
        tag, at = varint(data, at)
        size, start = varint(data, at) if tag & 7 in (0, 2) else (8 if tag & 7 == 1 else 4, at)
        at = start if tag & 7 == 0 else start + size
        values: list[Any] = [size if tag & 7 == 0 else data[start:at]]
        name, kind, several = schema[message].get(str(tag >> 3), ("", "", False))
        need(at <= len(data) and tag & 7 in (range(6) if not kind else (0, 2) if kind[:4] in ("numb", "enum") else (2,)), f"no {message}")
        if kind in ("string", "bytes"):
            values = [values[0].decode() if kind == "string" else values[0].hex()]
        elif kind in schema and not kind.startswith("enum "):
            values = [read(values[0], kind, schema)]
        elif tag & 7 == 2:  # packed numbers
            values = []
            while name and start < at:
                number, start = varint(data, start)
                values.append(number)
        values = [schema[kind].get(str(value), value) if kind in schema and not isinstance(value, dict) else value for value in values]
        if name:
            found[name] = found.get(name, []) + values if several else values[0]
    return {name: value for name, value in found.items() if value not in ([], "", {})}


def fact_of(index: int, pieces: list[bytes], people: list[str], schema: Any) -> dict[str, Any] | None:
    """What an event says of those meant, by address key or id; None: nothing. `pieces`: its entries, the last of them at `index`."""
    entry, *more = (read(piece, "Entry", schema) for piece in pieces)
    said = read(bytes.fromhex("".join(one.pop("data", "") for one in (entry, *more))), schema["events"].get(entry["type"], "Other"), schema)
    keys, ids = said.pop("address_keys", []), said.get("subscriber_ids", [])
    places = [n for one in (keys, ids) for n, name in enumerate(one) if name in people]
    if not places and not {said.get("address_key"), said.get("subscriber_id"), entry.get("subject")} & {*people}:
        return None
    if len(keys) == len(ids) or len(ids) == 0:  # a batch: of lists with a place for everybody in it, that place
        for name in PLACES:
            row = bytes.fromhex(said.pop(name, "")) if name in ("states", "transports") else said.pop(name, [])
            if places and len(row) > places[0]:
                said[name] = row[places[0]]
        said |= {"verdicts": said["verdicts"][said["verdict_of"]]} if "verdicts" in said else {}
        if "reason_texts" in said:
            said["reason_texts"] = ["", *said["reason_texts"]][said.get("reasons", 0)]
    context = {pair["key"]: pair.get("value", "") for pair in entry.pop("context", []) if pair["key"] != "part"}
    return {"index": index} | entry | {"context": context, "said": said}


def point(data: bytes) -> tuple[int, int]:  # RFC 8032 5.1.3
    y = int.from_bytes(data, "little") & (1 << 255) - 1
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if (x * x - square) % P == 0 else x * pow(2, (P - 1) // 4, P) % P
    need((x * x - square) % P == 0 and y < P, "a key or a signature is no point of the curve")
    return (x if x & 1 == data[31] >> 7 else P - x), y


def plus(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    t = D * a[0] * b[0] * a[1] * b[1] % P
    return (a[0] * b[1] + b[0] * a[1]) * pow(1 + t, -1, P) % P, (a[1] * b[1] + a[0] * b[0]) * pow(1 - t, -1, P) % P


def times(n: int, one: tuple[int, int]) -> tuple[int, int]:
    return plus(times(n >> 1, plus(one, one)), one if n & 1 else (0, 1)) if n else (0, 1)


def signed_lines(note: str, *keys: str) -> list[str]:
    """A signed note's lines (C2SP signed-note), if one of these keys, in note format, has signed them: a log's (1) or a witness's (4)."""
    text, _, signatures = note.rpartition("\n\n")
    for name, number, public in (key.strip().split("+", 2) for key in keys):
        kind, public_key = base64.b64decode(public)[0], base64.b64decode(public)[1:]
        for line in signatures.splitlines():
            raw = base64.b64decode(line.rpartition(" ")[2])
            if line.startswith(f"\u2014 {name} ") and raw[:4].hex() == number and len(raw) == {1: 68, 4: 76}[kind]:
                when = f"cosignature/v1\ntime {int.from_bytes(raw[4:12])}\n" if kind == 4 else ""
                r, s = raw[-64:-32], int.from_bytes(raw[-32:], "little")
                k = int.from_bytes(hashlib.sha512(r + public_key + f"{when}{text}\n".encode()).digest(), "little") % ORDER
                if s < ORDER and times(s, point(BASE)) == plus(point(r), times(k, point(public_key))):  # Ed25519, RFC 8032 5.1.7
                    return text.split("\n")
    raise ValueError(f"{' or '.join(keys).strip()} has not signed this")


def with_followers(key: str, folder: Path) -> list[str]:  # each follows the one before by a note that both have signed
    keys = [key.strip()]
    for note in [file.read_text("utf-8") for file in sorted(folder.glob("keys/*"), key=lambda file: int(file.name))]:
        if note.split("\n")[1:3] == ["is followed by", keys[-1]] and signed_lines(note, keys[-1]):
            keys.append(signed_lines(note, note.split("\n")[3])[3])
    return keys


def root_of(index: int, size: int, leaf: bytes, path: list[bytes]) -> bytes:
    """The root that an entry and its proof lead to (RFC 6962 2.1.1, upwards)."""
    if size == 1:
        return b"" if path else leaf
    right = index >= (half := 1 << (size - 1).bit_length() - 1)
    found = root_of(index - half if right else index, size - half if right else half, leaf, path[:-1])
    return hashlib.sha256(b"\1" + (path[-1] + found if right else found + path[-1])).digest()


def main(folder: Path, key: str, *witnesses: str) -> None:
    told, schema = (json.loads((folder / name).read_bytes()) for name in ("evidence.json", "schema.json"))
    note, keys = (folder / "checkpoint").read_text("utf-8"), with_followers(key, folder)
    size, root = signed_lines(note, *keys)[1:3]
    for digest, name in (line.split() for line in signed_lines((folder / "evidence.note").read_text("utf-8"), *keys)[1:]):
        need(hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, f"{name} is not what was signed")
    facts: list[Any] = []
    for event in told["events"]:
        pieces = [(folder / f"entries/{one['index']}").read_bytes() for one in event]
        for one, piece in zip(event, pieces, strict=True):
            found = root_of(one["index"], int(size), hashlib.sha256(b"\0" + piece).digest(), [bytes.fromhex(step) for step in one["proof"]])
            need(found == base64.b64decode(root), f"entries/{one['index']} does not stand there below the checkpoint")
        facts.append(fact_of(event[-1]["index"], pieces, told["people"], schema))
        sys.stdout.write(json.dumps(facts[-1]) + "\n")
    need(facts == told["facts"], "the facts are not what the entries say")
    outside = ", ".join(witness for witness in witnesses if signed_lines(note, witness)) or "nobody: unwitnessed, as far as was asked"
    sys.stdout.write(f"witnessed by {outside}\nverified: {len(facts)} events below the checkpoint of {size} entries, by {keys[-1]}\n")


if __name__ == "__main__":
    try:
        main(Path(__file__).parent, *(sys.argv[1:] or [Path(__file__).with_name("log.vkey").read_text("utf-8")]))
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as wrong:
        sys.exit(f"NOT VERIFIED: {wrong or type(wrong).__name__}")
