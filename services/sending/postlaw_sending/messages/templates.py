"""A customer's templates: minijinja, one environment a campaign, plain strings in, text out.

No Python object is reachable from a template, no file and no other campaign's template: values are strings, and there is no loader.
A field that a recipient does not have renders as nothing; looking into it (`{{ field.part }}`) fails that recipient.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from minijinja import Environment, TemplateError

from postlaw_common.errors import FieldError
from postlaw_sending.messages.headers import one_line, unstructured
from postlaw_sending.messages.plain import MARKS, Plain, plain

FIELDS: Final = ("subject", "text", "html")  # of protos' Template
FUEL: Final = 200_000  # instructions a rendering; a page of 100 kB with loops over its fields takes a few thousand
SUBJECT_LIMIT: Final = 1_000  # characters
_NEVER_RENDERS: Final = frozenset({"UnknownFilter", "UnknownTest", "UnknownFunction", "TemplateNotFound"})


class RenderFailed(Exception):
    """This recipient's message cannot be made. `reason` names field, line and kind of the error, and holds no personal data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Templates:
    """The compiled templates of one campaign. `wrong`: what is wrong with them, for whoever writes them; render only if empty.

    `plain`: those that put values in their places and do nothing else (plain.py). `names`: the values that they read."""

    def __init__(self, subject: str, text: str, html: str) -> None:
        self._environment = Environment(
            debug=False, fuel=FUEL, auto_escape_callback=lambda name: name == "html", keep_trailing_newline=True
        )
        self._constant: dict[str, str] = {}
        required = {"subject": subject, "text": text}
        self.wrong = [FieldError(f"template.{field}", "must not be empty") for field, source in required.items() if not one_line(source)]
        self.names: set[str] = set()
        self.plain: dict[str, Plain | None] = {}
        for field, source in zip(FIELDS, (subject, text, html), strict=True):
            source = _crlf(source)
            if not any(mark in source for mark in MARKS):
                self._constant[field] = source
                self.plain[field] = Plain((source,), (), escaped=False)
                continue
            try:
                self._environment.add_template(field, source)
            except (TemplateError, UnicodeError) as error:
                self.wrong.append(FieldError(f"template.{field}", _explain(error)))
                continue
            self.names |= self._environment.undeclared_variables_in_template(field)
            self._try(field)
            self.plain[field] = plain(source, partial(self._output, field), escaped=field == "html")

    @property
    def placed(self) -> set[str]:
        """Of `names`, those that simply stand somewhere: without them there is a gap."""
        return set().union(*(template.names for template in self.plain.values() if template))

    def render(self, field: str, values: dict[str, str]) -> str:
        """RenderFailed."""
        constant = self._constant.get(field)
        if constant is not None:
            return constant
        try:
            return self._environment.render_template(field, **values)
        except TemplateError as error:
            raise RenderFailed(f"template.{field} line {error.line}: {error.kind}") from None

    def _output(self, field: str, values: dict[str, str]) -> str | None:
        try:
            return self.render(field, values)
        except RenderFailed:
            return None

    def _try(self, field: str) -> None:
        """What fails for everybody is found now. What depends on the values cannot be: it fails its recipients only.

        Once with every field and once with none, since a field hides a function that does not exist.
        """
        sample = dict.fromkeys(self._environment.undeclared_variables_in_template(field), "sample")
        for values in (sample, {}):
            try:
                self._environment.render_template(field, **values)
            except TemplateError as error:
                if error.kind in _NEVER_RENDERS:
                    self.wrong.append(FieldError(f"template.{field}", _explain(error)))
                    return


def subject_of(rendered: str) -> bytes:
    """The value of the header. RenderFailed."""
    subject = one_line(rendered)
    if not subject:
        raise RenderFailed("template.subject renders as nothing")
    if len(subject) > SUBJECT_LIMIT:
        raise RenderFailed("template.subject renders as more than 1,000 characters")
    return unstructured(subject, len("Subject: "))


def _explain(error: TemplateError | UnicodeError) -> str:
    if isinstance(error, UnicodeError):
        return "not valid Unicode"
    return f"line {error.line}: {error.detail or error.kind}"


def _crlf(source: str) -> str:
    """Once here, so that a rendered part need not be rewritten for each recipient."""
    return source.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
