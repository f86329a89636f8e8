"""Requests against their contracts: every option, at every depth, and nothing to do where there is none."""

from __future__ import annotations

from typing import Any, cast

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from postlaw.audit.v1 import audit_pb2
from postlaw.options.v1 import options_pb2
from postlaw_common.errors import Invalid
from postlaw_common.rpc.validate import compile_checks, validate

F = descriptor_pb2.FieldDescriptorProto


def _field(name: str, number: int, kind: int, *, repeated: bool = False, type_name: str = "", **policy: Any) -> F:
    label = F.LABEL_REPEATED if repeated else F.LABEL_OPTIONAL
    field = F(name=name, number=number, label=label, type=cast("F.Type.ValueType", kind), type_name=type_name or None)
    if policy:
        field.options.Extensions[options_pb2.field].CopyFrom(options_pb2.FieldPolicy(**policy))
    return field


def _messages() -> dict[str, Any]:
    """A made-up contract that uses every option, with types that refer to each other in a circle."""
    file = descriptor_pb2.FileDescriptorProto(name="toy_validate.proto", package="toy", syntax="proto3")
    file.dependency.append("postlaw/options/v1/options.proto")
    leaf = file.message_type.add(name="Leaf")
    leaf.field.append(_field("code", 1, F.TYPE_STRING, pattern="[a-z]{2}", required=True))
    leaf.field.append(_field("inner", 2, F.TYPE_MESSAGE, type_name=".toy.Tree"))
    tree = file.message_type.add(name="Tree")
    tree.field.append(_field("name", 1, F.TYPE_STRING, max_length=3))
    tree.field.append(_field("key", 2, F.TYPE_BYTES, max_length=2))
    tree.field.append(_field("tags", 3, F.TYPE_STRING, repeated=True, max_items=2, max_length=3))
    tree.field.append(_field("leaf", 4, F.TYPE_MESSAGE, type_name=".toy.Leaf", required=True))
    tree.field.append(_field("leaves", 5, F.TYPE_MESSAGE, repeated=True, type_name=".toy.Leaf"))
    tree.field.append(_field("fields", 6, F.TYPE_MESSAGE, repeated=True, type_name=".toy.Tree.FieldsEntry", max_items=2, max_length=3))
    entry = tree.nested_type.add(name="FieldsEntry")
    entry.options.map_entry = True
    entry.field.extend([_field("key", 1, F.TYPE_STRING), _field("value", 2, F.TYPE_STRING)])
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"toy.{name}")) for name in ("Leaf", "Tree")}


TOY = _messages()
Leaf, Tree = TOY["Leaf"], TOY["Tree"]


def wrong(message: Message) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as refused:
        validate(message)
    return [(error.field, error.message) for error in refused.value.fields]


def test_a_right_message_passes() -> None:
    validate(Tree(name="abc", key=b"ab", tags=["a", "b"], leaf=Leaf(code="de"), leaves=[Leaf(code="fr")], fields={"a": "b"}))


def test_what_is_required_must_be_there() -> None:
    assert wrong(Tree()) == [("leaf", "is required")]
    assert wrong(Tree(leaf=Leaf())) == [("leaf.code", "is required")]


def test_lengths_count_characters_of_text_and_bytes_of_bytes() -> None:
    validate(Tree(name="äöü", leaf=Leaf(code="de")))
    assert wrong(Tree(name="äöüß", key=b"abc", leaf=Leaf(code="de"))) == [
        ("name", "must have at most 3 characters"),
        ("key", "must have at most 2 bytes"),
    ]


def test_items_are_counted_and_each_is_looked_at() -> None:
    assert wrong(Tree(leaf=Leaf(code="de"), tags=["a", "abcd", "b"])) == [
        ("tags", "must have at most 2 items"),
        ("tags[1]", "must have at most 3 characters"),
    ]


def test_a_pattern_holds_for_the_whole_value() -> None:
    for code in ("d", "deu", "DE", "de\n", "dé"):
        assert wrong(Tree(leaf=Leaf(code=code))) == [("leaf.code", "must match [a-z]{2}")]


def test_the_path_leads_through_lists_and_circles_of_types() -> None:
    deep = Tree(leaf=Leaf(code="de"), leaves=[Leaf(code="fr"), Leaf(code="it", inner=Tree(name="long", leaf=Leaf(code="x")))])
    assert wrong(deep) == [
        ("leaves[1].inner.name", "must have at most 3 characters"),
        ("leaves[1].inner.leaf.code", "must match [a-z]{2}"),
    ]


def test_a_maps_keys_never_stand_in_an_error() -> None:
    found = wrong(Tree(leaf=Leaf(code="de"), fields={"ann@example.org": "abcd", "b": "c", "d": "e"}))
    assert found == [("fields", "must have at most 2 items"), ("fields", "each value must have at most 3 characters")]


def test_values_never_stand_in_an_error() -> None:
    with pytest.raises(Invalid) as refused:
        validate(Tree(name="secret", leaf=Leaf(code="secret")))
    assert "secret" not in refused.value.detail + str(refused.value.fields)


def test_a_type_without_options_costs_nothing() -> None:
    assert compile_checks(audit_pb2.GetConsistencyProofRequest.DESCRIPTOR) == []
