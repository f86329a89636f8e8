"""Checks a mail against the bundle of evidence that this lies in: python3 mail.py [MAIL]. Needs Python 3.11 or later, and nothing else.

MAIL is a file of the mail as it came (.eml), or of its header, or of a mail that it is attached to; without it, the header that was shown
for the bundle. Run verify.py first: that shows that the facts stand in the log. This shows that the mail is one of them: that a DKIM key
which the log names for that time has signed it (RFC 6376), and that the log has its hand-over, by its Message-ID. Exit code 1 says why it
is not."""

import base64
import binascii
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

LARGEST, LARGEST_HEADER, MOST_SIGNATURES = 5 << 20, 1 << 18, 50  # octets: none that is sent is half as large
MOST_MAILS, MOST_PARTS, DEEPEST = 20, 100, 8  # of one that was shown, in one of its multiparts, and of parts inside parts
ATTACHED, FILE = {"message/rfc822", "message/global", "text/rfc822-headers"}, "application/octet-stream"
MUST_BE_SIGNED = {"from", "to", "date", "subject", "message-id"}
OVERLAP_S, CLOCKS_S, SINGLE_WITHIN_S = 7 * 24 * 3600, 300, 600
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")  # RFC 8017 9.2
DOMAIN_CHANGED, SETTLED = "postlaw.sending.SenderDomainChanged", "postlaw.sending.BatchSettled"
DELIVERED = (2, 5, 7)  # sent, bounced later, and unknown: the connection broke before the last answer
Field = tuple[str, bytes]


class NotOurs(ValueError):
    """`near`: it names a key of ours all the same."""

    def __init__(self, reason: str, *, near: bool) -> None:
        super().__init__(reason)
        self.near = near


def need(holds: bool, wrong: str) -> None:
    if not holds:
        raise ValueError(wrong)


def read_mail(data: bytes) -> tuple[list[Field], bytes | None]:
    """Header fields from the top, by name, as they stand; and the body, None where the header alone was given."""
    need(len(data) <= LARGEST, "it is larger than any mail that is sent from here; of one that was sent on, show that alone")
    data = data.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n").replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    data = re.sub(rb"\A>?From [^\n]*\n", b"", data)  # a mailbox's own line (RFC 4155)
    head, _, body = data.partition(b"\r\n\r\n")
    need(len(head) <= LARGEST_HEADER, "its header is larger than any that is sent from here")
    return fields_of(head), body if body.strip() else None


def fields_of(head: bytes) -> list[Field]:
    lines = re.split(rb"\r\n(?![ \t])", head)
    return [(line.partition(b":")[0].strip().lower().decode("latin-1"), line) for line in lines]


def mails_in(data: bytes) -> list[tuple[list[Field], bytes | None]]:
    """The mail that was shown, and those attached to it or to one of these, byte for byte (RFC 2046). Raises ValueError for the first."""
    fields, body = read_mail(data)
    return [(fields, body), *islice(attached(fields, body, "text/plain", 0), MOST_MAILS - 1)]


def attached(fields: list[Field], body: bytes | None, unsaid: str, depth: int) -> Iterator[tuple[list[Field], bytes | None]]:
    """Of a mail or one of its parts. `unsaid`: what it is where it does not say so."""
    kind = (said := parameters(fields, "content-type")).get("", unsaid)
    if body is None or depth == DEEPEST:
        return
    if kind.startswith("multipart/") and (boundary := said.get("boundary")):
        line = rb"(?:\A|\r\n)--" + re.escape(boundary.encode("latin-1"))
        inside = re.split(line + b"--", body, maxsplit=1)[0]
        for part in re.split(line + rb"[ \t]*(?=\r\n)", inside, maxsplit=MOST_PARTS)[1:]:
            head, _, inner = part.partition(b"\r\n\r\n")
            unsaid = "message/rfc822" if kind == "multipart/digest" else "text/plain"
            yield from attached(fields_of(head.removeprefix(b"\r\n")), inner, unsaid, depth + 1)
    elif kind in ATTACHED or kind == FILE or is_a_file_of_mail(fields):
        try:
            mail = read_mail(decoded(body, parameters(fields, "content-transfer-encoding").get("", "")))
        except ValueError:
            return
        if kind != FILE or any(name == "dkim-signature" for name, _ in mail[0]):  # whatever the file is called, and in whatever letters
            yield mail
        yield from attached(*mail, "text/plain", depth + 1)


def parameters(fields: list[Field], name: str) -> dict[str, str]:
    """Of the first field of this name, by theirs in small letters; its value itself by ""."""
    line = next((line for one, line in fields if one == name), b"").partition(b":")[2].replace(b"\r\n", b"").decode("latin-1")
    found = re.findall(r';\s*([^\s=;]+)\s*=\s*(?:"([^"]*)"|([^\s;]*))', line)
    value = line.partition(";")[0].strip().lower()
    return {one.lower(): quoted or plain for one, quoted, plain in found} | ({"": value} if value else {})


def is_a_file_of_mail(fields: list[Field]) -> bool:
    said = [*parameters(fields, "content-type").items(), *parameters(fields, "content-disposition").items()]
    return any(value.lower().endswith(".eml") for name, value in said if name.startswith(("name", "filename")))


def decoded(body: bytes, encoding: str) -> bytes:
    """As RFC 2045 6 has it; a mail is never to be encoded, and some programs do so all the same."""
    if encoding == "base64":
        return base64.b64decode(body)
    return binascii.a2b_qp(body) if encoding == "quoted-printable" else body


def values(fields: list[Field], name: str) -> list[str]:
    return [" ".join(line.partition(b":")[2].decode("utf-8", "replace").split()) for one, line in fields if one == name]


def tags(value: bytes) -> dict[str, str]:
    """A tag list (RFC 6376 3.2), white space left out; of a tag that occurs twice nothing is believed."""
    pairs = [part.partition("=") for part in "".join(value.decode("latin-1").split()).split(";")]
    names = [name for name, _, _ in pairs]
    return {name: text for name, _, text in pairs if names.count(name) == 1}


def single_spaced(text: bytes) -> bytes:
    text = text.replace(b"\t", b" ")
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    return text


def relaxed(name: str, line: bytes) -> bytes:
    """RFC 6376 3.4.2, without the line's end."""
    return name.encode("latin-1") + b":" + single_spaced(line.partition(b":")[2].replace(b"\r\n", b"")).strip(b" ")


def body_hash(body: bytes) -> str:
    """RFC 6376 3.4.4."""
    text = single_spaced(body).replace(b" \r\n", b"\r\n").rstrip(b" \r\n")
    return base64.b64encode(hashlib.sha256(text + b"\r\n" if text else b"").digest()).decode()


def signatures(fields: list[Field]) -> Iterator[tuple[int, dict[str, str]]]:
    """Where each by RSA stands, and its tags. One by Ed25519 is only ever made beside one by RSA."""
    there = [at for at, (name, _) in enumerate(fields) if name == "dkim-signature"]
    need(bool(there), "it bears no DKIM signature")
    need(len(there) <= MOST_SIGNATURES, f"it bears more than {MOST_SIGNATURES} DKIM signatures")
    for at in there:
        said = tags(fields[at][1].partition(b":")[2])
        if said.get("a") == "rsa-sha256":
            yield at, said


def der(data: bytes, at: int) -> tuple[int, int]:
    """Where the contents of a DER value begin and end."""
    size, at = data[at + 1], at + 2
    if size & 128:
        size, at = int.from_bytes(data[at : at + (size & 127)]), at + (size & 127)
    return at, at + size


def rsa_holds(record: str, signature: bytes, signed: bytes) -> bool:
    """RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 8.2.2), by the key in a DKIM record."""
    key = base64.b64decode(tags(record.encode())["p"])
    bits = der(key, der(key, der(key, 0)[0])[1])[0]  # of SubjectPublicKeyInfo, behind the algorithm
    first = der(key, der(key, bits + 1)[0])
    second = der(key, first[1])
    n, e = (int.from_bytes(key[start:end]) for start, end in (first, second))
    size = (n.bit_length() + 7) // 8
    told = SHA256_INFO + hashlib.sha256(signed).digest()
    wanted = b"\0\1" + b"\xff" * (size - len(told) - 3) + b"\0" + told
    return len(signature) == size and pow(int.from_bytes(signature), e, n).to_bytes(size) == wanted


def check(fields: list[Field], body: bytes | None, at: int, said: dict[str, str], key: dict[str, Any]) -> int:
    """When it was signed (POSIX seconds), if the signature at this place, with these tags, is this key's, of a time at which it was in use.
    `key`: as SenderDomainChanged tells it. Raises ValueError with what is wrong."""
    usual = (said.get("v"), said.get("c"), said.get("l")) == ("1", "relaxed/relaxed", None)
    need(usual and said.get("t", "").isdecimal(), "its signature is none as they are made here")
    names = said.get("h", "").lower().split(":")
    need({*names} >= MUST_BE_SIGNED, "its signature leaves out what is always signed")
    need(
        all(len(values(fields, name)) == 1 for name in MUST_BE_SIGNED), "it has From, To, Date, Subject or Message-ID twice, or not at all"
    )
    left: dict[str, list[bytes]] = {}
    for name, line in fields:
        left.setdefault(name, []).append(line)
    covered = b"".join(relaxed(name, left[name].pop()) + b"\r\n" for name in names if left.get(name))
    own = re.sub(rb"((?:^|[;:])\s*b\s*=)[^;]*", rb"\1", fields[at][1])
    signature = base64.b64decode(said.get("b", ""))
    need(
        rsa_holds(key["record"], signature, covered + relaxed("dkim-signature", own)),
        "its header is not what was signed: forged or altered",
    )
    when, first, last = int(said["t"]), key.get("published_at_us", 0) / 1e6, key.get("superseded_at_us", 0) / 1e6
    need(bool(first) and when >= first - CLOCKS_S, "it was signed before that key was in use")
    need(not last or when <= last + OVERLAP_S, "it was signed after that key was replaced")
    need(body is None or body_hash(body) == said.get("bh"), "its body is not what was signed: altered, or cut off")
    return when


def keys_in(facts: list[dict[str, Any]], domain: str) -> dict[str, dict[str, Any]]:
    """By selector, as the log has it last, and the entry that says so first with when it was found published."""
    found: dict[str, dict[str, Any]] = {}
    for fact in facts:
        if fact["type"] == DOMAIN_CHANGED and fact["said"].get("domain") == domain:
            for key in fact["said"].get("keys", []):
                before = found.get(key["selector"], {})
                index = before["index"] if before.get("published_at_us") else fact["index"]
                found[key["selector"]] = key | {"index": index}
    return found


def short(id: str) -> str:
    """As an id stands in a Message-ID."""
    end = id.rpartition("_")[2]
    return end if re.fullmatch("[0-9a-z]{1,26}", end) else hashlib.sha256(id.encode()).hexdigest()[:26]


def delivery_in(facts: list[dict[str, Any]], fields: list[Field], domain: str, signed_at: int) -> dict[str, Any]:
    """The fact of the hand-over that Message-ID names. A single message's names none: its person's whose time fits. Raises ValueError."""
    ids = re.fullmatch(r"<([a-z0-9]{1,26})(?:\.([a-z0-9]{1,26}))?@(.+)>", values(fields, "message-id")[0])
    if ids is None or ids[3].lower() != domain:
        raise NotOurs("its Message-ID is none of those that are given here", near=True)
    for fact in facts:
        said = fact["said"]
        if fact["type"] != SETTLED or said.get("states") not in DELIVERED:
            continue
        kind, names = (
            said.get("campaign_id", "").partition("_")[0],
            (short(said.get("campaign_id", "")), short(said.get("subscriber_ids", ""))),
        )
        after_s = (said.get("started_at_us", 0) + said.get("handed_over_after_us", 0)) / 1e6 - signed_at
        if names == ids.groups()[:2] or (ids[2] is None and kind == "msg" and -CLOCKS_S <= after_s <= SINGLE_WITHIN_S):
            return fact
    raise NotOurs("the log has no hand-over of this Message-ID to the person in its To", near=True)


def nearest(wrong: list[ValueError]) -> str:
    """Why none of the mails in the one that was shown is ours: of the first that names a key of ours, else of that one."""
    reason = str(next((one for one in wrong if isinstance(one, NotOurs) and one.near), wrong[0]))
    return reason if len(wrong) == 1 else f"neither it nor what is attached to it is ({len(wrong)} mails); of the nearest: {reason}"


def judged(facts: list[dict[str, Any]], fields: list[Field], body: bytes | None) -> str:
    """By which entries it is ours. Raises ValueError."""
    wrong = ""
    for at, said in signatures(fields):
        key = keys_in(facts, said.get("d", "").lower()).get(said.get("s", ""))
        try:
            signed_at = check(fields, body, at, said, key) if key else None
        except ValueError as found:
            wrong = wrong or str(found)
            continue
        if key and signed_at:
            told = delivery_in(facts, fields, said["d"].lower(), signed_at)
            of = "header and body are" if body is not None else "the header is (no body was given)"
            return f"ours: {of} what the key of entry {key['index']} signed; handed over by entry {told['index']}\n"
    raise NotOurs(wrong or "it bears no signature of a key that the log names", near=bool(wrong))


def main(folder: Path, mail: bytes) -> None:
    facts, wrong = json.loads((folder / "evidence.json").read_bytes())["facts"], list[ValueError]()
    for fields, body in mails_in(mail):
        try:
            sys.stdout.write(judged(facts, fields, body))
            return
        except ValueError as found:
            wrong.append(found)
    raise ValueError(nearest(wrong))


if __name__ == "__main__":
    try:
        main(Path(__file__).parent, Path(*sys.argv[1:2] or [Path(__file__).with_name("mail.header")]).read_bytes())
    except (ArithmeticError, LookupError, OSError, TypeError, ValueError) as refused:
        sys.exit(f"NOT OURS: {refused}")
