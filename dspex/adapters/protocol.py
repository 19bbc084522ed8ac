"""What turns a signature into a request, and a model's text into fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from dspex.messages import Choice, Compat, Message, Request, Response, Sampling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex.adapters.streaming import StreamParser
    from dspex.errors import ParseError
    from dspex.recipe import Recipe
    from dspex.signatures.example import Example
    from dspex.signatures.signature import Signature

__all__ = ("DEFAULT_COMPAT", "DEFAULT_SAMPLING", "Adapter")

DEFAULT_COMPAT = Compat()
DEFAULT_SAMPLING = Sampling()


class Adapter(Protocol):
    """A layout for prompts and a reader for answers; an immutable value, every method pure.

    Equal adapters are interchangeable: they are keys under which prepared text is kept.
    """

    def fitted(self, signature: Signature, capabilities: Compat, sampling: Sampling) -> Adapter:
        """Return the adapter as it is for one endpoint, before any call; nearly always itself.

        It has decided which fields travel beside the text (the model's own thinking, tools), and
        how the endpoint is held to a form. Whoever asks an endpoint uses the fitted adapter for
        all the rest.
        """
        ...

    def prefix(self, signature: Signature, demos: Sequence[Example]) -> tuple[Message, ...]:
        """Return the messages that signature and demonstrations fix: all but the last."""
        ...

    def format(
        self, signature: Signature, demos: Sequence[Example], inputs: Mapping[str, Any]
    ) -> tuple[Message, ...]:
        """Return the whole conversation that asks for the outputs."""
        ...

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
        """Return the request that asks for the outputs.

        Args:
            signature: what is asked.
            demos: demonstrations.
            inputs: checked values of the inputs.
            capabilities: what the endpoint takes.
            sampling: how the model samples.
            prefix: what `prefix` returned for these, when the caller has kept it.

        Raises:
            UnsupportedFeature: the endpoint cannot carry what an input holds.
        """
        ...

    def parse(self, signature: Signature, response: Response | Choice | str) -> dict[str, Any]:
        """Return the output fields, in the order of the signature, as their types.

        Raises:
            ParseError: one of them is missing or does not fit.
        """
        ...

    def repair(
        self,
        signature: Signature,
        request: Request,
        response: Response | Choice | str,
        error: ParseError,
    ) -> Request:
        """Return a request that shows the model its own answer and what was wrong with it."""
        ...

    def stream_parser(self, signature: Signature) -> StreamParser:
        """Return what reads one answer while it comes: deltas of its fields."""
        ...

    def recipe(self) -> Recipe:
        """Return how to build an equal adapter in another process."""
        ...
