"""What one call of a program is known by: the program, who answers, and what the inputs hold."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from dspex.effects import find_runtime
from dspex.errors import DspexError
from dspex.programs.two_step import TwoStep
from dspex.signatures.encoding import digest, to_jsonable
from dspex.types.loading import load_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dspex.programs.predict import Predict
    from dspex.programs.program import Program

__all__ = ("call_key", "identify_call")


async def identify_call(
    program: Program, program_digest: str, inputs: Mapping[str, Any]
) -> str | None:
    """Return the key of a call; None for inputs that nothing can be known by.

    Files count by what they hold now, and the models by their names: a digest leaves clients out.
    Inputs that cannot be read or have no JSON form are for the program itself to refuse.
    """
    models = list(_models(program))
    identity = digest([program_digest, models]) if any(models) else program_digest
    try:
        loaded = {name: await load_all(value) for name, value in inputs.items()}
        if all(loaded[name] is value for name, value in inputs.items()):
            return call_key(identity, inputs)

        return await to_thread.run_sync(call_key, identity, loaded)  # a file may be large
    except (OSError, TypeError, ValueError):
        return None


def call_key(program_digest: str, inputs: Mapping[str, Any]) -> str:
    """Return what one call of a program is known by, the same in every process.

    Raises:
        TypeError: an input has no JSON form.
    """
    plain = {name: to_jsonable(value) for name, value in inputs.items()}
    return digest([program_digest, plain])


def _models(program: Program) -> Iterator[str]:
    for predictor in program.named_predictors().values():
        yield _model(predictor, predictor.client)
        if isinstance(predictor.adapter, TwoStep) and predictor.adapter.extractor is not None:
            yield _model(predictor, predictor.adapter.extractor)


def _model(predictor: Predict, client: Any) -> str:
    if client is not None and not isinstance(client, str):
        return str(getattr(client, "name", type(client).__qualname__))

    with suppress(DspexError):  # without a runtime or such a model: the call itself will say so
        return str(getattr(find_runtime().client(client), "name", client))

    return client or ""
