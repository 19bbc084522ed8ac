"""One question to one model: asked, heard as it comes, read, and repaired where that fails."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from dspex.adapters.loose_json import takes_long
from dspex.effects import current, map as map_concurrently
from dspex.errors import ParseError
from dspex.messages import Choice, Request, Response
from dspex.programs.events import announce_parse, announce_repair
from dspex.programs.streaming.answers import ask_aloud
from dspex.programs.streaming.events import Retracted
from dspex.programs.streaming.listening import listener_of
from dspex.signatures.prediction import Repair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex.adapters.protocol import Adapter
    from dspex.clients.protocol import ModelClient
    from dspex.programs.predict import Predict
    from dspex.signatures.signature import Signature

__all__ = ("Exchange", "Reading")

Reading = tuple[dict[str, Any], tuple[Repair, ...]]
"""The fields of an answer, and the answers before it that could not be read."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """Who asks whom for what, and in which form; `adapter` is fitted to the client."""

    predictor: Predict
    client: ModelClient
    adapter: Adapter
    signature: Signature

    async def ask(self, request: Request) -> Sequence[Choice]:
        """Return the choices asked for, by calls of their own where the endpoint gives but one."""
        n = request.sampling.n
        if n == 1 or self.client.compat.n:
            return (await self.complete(request)).choices or (Choice(""),)

        async def one(sample: int) -> Response:
            alone = replace(request.sampling, n=1)
            return await self.complete(replace(request, sampling=alone, sample=sample))

        first = request.sample * n
        responses = await map_concurrently(one, range(first, first + n), name="sample")
        return [choice for response in responses for choice in response.choices]

    async def complete(self, request: Request) -> Response:
        """Return the answer; where a stream listens, it hears it as it comes."""
        here = current()
        listener = listener_of(here)
        if listener is None or not self.client.compat.streaming:
            return await self.client.complete(request)

        return await ask_aloud(
            self.client,
            request,
            adapter=self.adapter,
            signature=self.signature,
            listener=listener,
            predictor=listener.place(here.path),
        )

    async def read(self, request: Request, choice: Choice) -> Reading:
        """Return the fields of one answer, asking again where it cannot be read.

        Raises:
            ParseError: it cannot be read, and the repair rounds are used up.
        """
        repairs: tuple[Repair, ...] = ()
        while True:
            try:
                fields = await self._parse(choice)
            except ParseError as exc:
                if len(repairs) >= self.predictor.max_repairs:
                    raise

                repairs = (*repairs, Repair(exc.problem, exc.text))
                request = self._again(request, choice, exc)
                choice = await self._repaired(request, exc)
            else:
                announce_parse(current(), self.predictor, len(repairs))
                return fields, repairs

    async def _parse(self, choice: Choice) -> dict[str, Any]:
        if takes_long(choice.text) or any(takes_long(call.arguments) for call in choice.tool_calls):
            return await to_thread.run_sync(self.adapter.parse, self.signature, choice)

        return self.adapter.parse(self.signature, choice)

    def _again(self, request: Request, choice: Choice, error: ParseError) -> Request:
        again = self.adapter.repair(self.signature, request, choice, error)
        if again.sampling.n == 1:
            return again

        return replace(again, sampling=replace(again.sampling, n=1))

    async def _repaired(self, request: Request, error: ParseError) -> Choice:
        here = current()
        announce_repair(here, self.predictor, error)
        listener = listener_of(here)
        if listener is not None:
            await listener.send(Retracted(listener.place(here.path), error.problem))

        response = await self.complete(request)
        return response.choices[0] if response.choices else Choice("")
