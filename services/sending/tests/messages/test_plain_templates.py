"""A template that only puts values in their places is filled without the engine: the same octets, whatever the values hold."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from postlaw_common.errors import Invalid
from postlaw_sending.messages import CompiledCampaign, RenderFailed
from postlaw_sending.messages.footer import FORMS
from postlaw_sending.messages.plain import plain
from services.sending.tests.messages.compiled import Person, campaign

NOT_PLAIN = "{# the engine's #}"
PIECES = [
    *("{{ a }}", "{{b}}", "{{ address }}", "{{ unsubscribe_url }}", "{{ none }}", "{{ range }}"),
    *("%", "%b", "</body>", "</", "\n", "=_", "é", "x" * 990),
]

texts = st.lists(st.sampled_from(PIECES) | st.text(alphabet="ab<>/&{} \r\n%ü", max_size=6), max_size=8).map("".join)
values = st.text(max_size=40) | st.sampled_from(["</body>", "body>", "y", "<b>'\"/&", "a\r\nb", "\0", "x" * 995, "", "%b"])


def made(compiled: CompiledCampaign, person: Person) -> bytes | str:
    try:
        return compiled.render(person)
    except RenderFailed as failed:
        return failed.reason


@settings(max_examples=300)
@given(texts, texts, texts, st.dictionaries(st.sampled_from(["a", "b", "address"]), values), st.integers(0, len(FORMS) - 1))
@example("s", "t", "<p>{{ a }}</bo{{ b }}dy>", {"a": "1"}, 1)
@example("s", "t", "<p></body>{{ a }}</BODY >{{ b }}", {"a": "</body>", "b": "2"}, 2)
def test_the_engine_would_have_made_the_same_octets(subject: str, text: str, page: str, fields: dict[str, str], form: int) -> None:
    try:
        quick = campaign(subject=f"s{subject}", text=f"t{text}", html=f"<p>{page}")
        slow = campaign(subject=f"s{NOT_PLAIN}{subject}", text=f"t{NOT_PLAIN}{text}", html=f"<p>{page}{NOT_PLAIN}")
    except Invalid:
        return
    person = Person(fields=fields, footer=form)
    assert made(quick, person) == made(slow, person)


@pytest.mark.parametrize("source", ["{{ a }}", "Dear {{ a }} of {{b}},", "no value", "50 % of {{ a }}", "{ {{ a }} }"])
def test_a_template_of_values_alone_is_plain(source: str) -> None:
    """Else nothing here would be tried: most campaigns are such."""

    def engine(values: dict[str, str]) -> str:
        return source.replace("{{ a }}", values.get("a", "")).replace("{{b}}", values.get("b", ""))

    found = plain(source, engine, escaped=False)
    assert found is not None
    assert found.fill({"a": "Ada"}) == source.replace("{{ a }}", "Ada").replace("{{b}}", "")


@pytest.mark.parametrize("source", ["{{ a | upper }}", "{% if a %}x{% endif %}", "{# why #}{{ a }}", "{{ a.b }}"])
def test_what_does_more_is_the_engines(source: str) -> None:
    assert plain(source, lambda _: None, escaped=False) is None
