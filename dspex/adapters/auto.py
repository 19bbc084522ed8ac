"""The adapter that suits the endpoint: a schema it enforces, a tool, or sections in the prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex.adapters.chat import ChatAdapter
from dspex.adapters.json_adapter import JSONAdapter
from dspex.adapters.protocol import DEFAULT_COMPAT, DEFAULT_SAMPLING
from dspex.adapters.rendering import is_any_text
from dspex.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex.adapters.streaming import StreamParser
    from dspex.adapters.text_adapter import TextAdapter
    from dspex.errors import ParseError
    from dspex.messages import Choice, Compat, Message, Request, Response, Sampling
    from dspex.signatures.example import Example
    from dspex.signatures.signature import Signature

__all__ = ("AutoAdapter",)


@dataclass(frozen=True, slots=True)
class AutoAdapter:
    """Picks by the endpoint's capabilities, before the call.

    Where all outputs are free text there is nothing to enforce, and `ChatAdapter` asks. Else the
    best that the endpoint honours: a strict schema, a tool whose arguments are the answer, sections
    in the prompt.
    """

    def fitted(
        self,
        signature: Signature,
        capabilities: Compat = DEFAULT_COMPAT,
        sampling: Sampling = DEFAULT_SAMPLING,
    ) -> TextAdapter:
        """Return the adapter that suits the endpoint; see `Adapter.fitted`."""
        chat = ChatAdapter().fitted(signature, capabilities, sampling)
        shape = chat.layout(signature).shape
        if shape.native_inputs or all(is_any_text(field.annotation) for field in shape.written):
            return chat

        held = JSONAdapter().fitted(signature, capabilities, sampling)
        if held.form == "json_schema":
            return held

        if capabilities.tools and capabilities.tool_choice:
            return JSONAdapter(form="tool").fitted(signature, capabilities, sampling)

        return chat

    def prefix(self, signature: Signature, demos: Sequence[Example]) -> tuple[Message, ...]:
        """Return system message and demonstrations for an endpoint with the usual capabilities."""
        return self.fitted(signature).prefix(signature, demos)

    def format(
        self, signature: Signature, demos: Sequence[Example], inputs: Mapping[str, Any]
    ) -> tuple[Message, ...]:
        """Return the whole conversation for an endpoint with the usual capabilities."""
        return self.fitted(signature).format(signature, demos, inputs)

    def prepare(
        self,
        signature: Signature,
        demos: Sequence[Example],
        inputs: Mapping[str, Any],
        *,
        capabilities: Compat = DEFAULT_COMPAT,
        sampling: Sampling = DEFAULT_SAMPLING,
        prefix: tuple[Message, ...] | None = None,
    ) -> Request:
        """Return the request that suits the endpoint; see `Adapter.prepare`."""
        adapter = self.fitted(signature, capabilities, sampling)
        return adapter.prepare(
            signature, demos, inputs, capabilities=capabilities, sampling=sampling, prefix=prefix
        )

    def parse(self, signature: Signature, response: Response | Choice | str) -> dict[str, Any]:
        """Return the output fields of an answer in any of the forms.

        Raises:
            ParseError: one of them is missing or does not fit.
        """
        return self._reader(response).parse(signature, response)

    def repair(
        self,
        signature: Signature,
        request: Request,
        response: Response | Choice | str,
        error: ParseError,
    ) -> Request:
        """Return a request that shows the model its own answer and what was wrong with it."""
        return self._asked(request).repair(signature, request, response, error)

    def stream_parser(self, signature: Signature) -> StreamParser:
        """Return what reads one answer of an endpoint with the usual capabilities."""
        return self.fitted(signature).stream_parser(signature)

    def recipe(self) -> Recipe:
        """Return how to build an equal adapter in another process."""
        return Recipe(f"{__name__}:AutoAdapter")

    def _reader(self, response: Response | Choice | str) -> TextAdapter:
        if isinstance(response, str):
            return ChatAdapter()

        called = getattr(response, "tool_calls", None) or any(
            choice.tool_calls for choice in getattr(response, "choices", ())
        )
        return JSONAdapter(form="tool") if called else ChatAdapter()

    def _asked(self, request: Request) -> TextAdapter:
        if request.response_format is not None:
            return JSONAdapter(form=request.response_format.type)

        return JSONAdapter(form="tool") if request.tool_choice == "answer" else ChatAdapter()
