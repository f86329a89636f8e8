"""One question to Anthropic's Messages API, and its answer as one word of ours. What a model writes freely is not asked for: it could be
made to repeat the prompt by a subject that says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from anthropic import AnthropicError, AsyncAnthropic

SINCERE: Final = "none"
# What the model may answer, and what is said of it.
KINDS: Final[Mapping[str, str]] = {
    SINCERE: "",
    "false_conversation": "may pretend a conversation that there is not",
    "false_transaction": "may pretend an order, an account or a payment",
    "false_reward": "may pretend that something was won or approved",
    "false_urgency": "may pretend that something ends or is lost",
    "false_sender": "may pretend to be of somebody else",
    "false_content": "may promise what the message does not hold",
}
_TOOL: Final = "judge_subject"
_LONGEST_ANSWER: Final = 200  # tokens


class NoOpinion(Exception):
    """The API is away, or answered something else. The message names nothing of what was asked."""


class Asking:
    """`base_url`: of the API. A question is asked once; how long it may take is the caller's to say."""

    def __init__(self, key: str, base_url: str, model: str) -> None:
        # Its own tracing can put what is asked into spans, by the environment alone, and tells outside which trace of ours it is.
        self._client = AsyncAnthropic(api_key=key, base_url=base_url, max_retries=0, open_telemetry=False)
        self._model = model

    async def __call__(self, prompt: str, subject: str) -> str:
        """One of KINDS. `subject`: a template's, with its marks. Raises NoOpinion."""
        try:
            answer = await self._client.messages.with_raw_response.create(
                model=self._model,
                max_tokens=_LONGEST_ANSWER,
                system=prompt,
                messages=[{"role": "user", "content": f"<subject>{subject}</subject>"}],
                tools=[
                    {
                        "name": _TOOL,
                        "description": "Says whether the subject line of a marketing mail deceives, and how.",
                        "input_schema": {
                            "type": "object",
                            "properties": {"kind": {"type": "string", "enum": [*KINDS]}},
                            "required": ["kind"],
                            "additionalProperties": False,
                        },
                    }
                ],
                tool_choice={"type": "tool", "name": _TOOL},
            )
            return _kind_of(await answer.json())
        except (AnthropicError, ValueError) as failed:
            raise NoOpinion(type(failed).__name__) from None


def _kind_of(answer: object) -> str:
    """Raises NoOpinion. Whatever JSON comes, the client calls it a message; here it is one, or no answer."""
    match answer:
        case {"content": [*blocks]}:
            for block in blocks:
                match block:
                    case {"type": "tool_use", "name": str(name), "input": {"kind": str(kind)}} if name == _TOOL and kind in KINDS:
                        return kind
                    case _:
                        continue
        case _:
            pass
    raise NoOpinion("an answer in another form")
