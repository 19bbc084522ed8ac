"""The one program that asks a model: everything else is made of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, cast

from dspex.adapters.chat import ChatAdapter
from dspex.adapters.contents import may_hold_field_types
from dspex.effects import TraceEntry, current, find_runtime
from dspex.errors import InputError
from dspex.messages import Choice, Message, Request, Sampling
from dspex.programs.exchange import Exchange, Reading
from dspex.programs.program import Demos, Program
from dspex.programs.two_step import TwoStep, extraction_of, merged, native_outputs
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction
from dspex.signatures.signature import Signature, SignatureLike, make_signature
from dspex.types.loading import load_all
from dspex.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dspex.adapters.protocol import Adapter
    from dspex.clients.protocol import ModelClient
    from dspex.signatures.record import Record
    from dspex.usage import UsageMeter

__all__ = ("Predict",)

_CHAT = ChatAdapter()
_SAMPLING = Sampling()


class Predict(Program):
    """Asks a model for the outputs of a signature.

    Args:
        signature: a string, a Signature, or a class that declares one.
        client: who answers; None takes the scope's runtime or the only open one; a string is the
            "provider/model" of that runtime.
        adapter: layout and reader; None is `ChatAdapter`. `TwoStep(extractor)` has a second model
            read the fields from a free answer.
        demos: demonstrations, in the order shown.
        config: how the model samples; `Sampling(n=5)` asks for five completions.
        max_repairs: how often the model is shown an answer that could not be read, and why, and
            asked again, before `ParseError` is raised.
    """

    _is_predictor: ClassVar[bool] = True
    _derived: ClassVar[frozenset[str]] = frozenset({"_prefix"})

    signature: Signature
    demos: tuple[Example, ...]
    config: Sampling
    client: ModelClient | str | None
    adapter: Adapter | TwoStep | None
    max_repairs: int
    _declared: str

    def __init__(
        self,
        signature: SignatureLike,
        *,
        client: ModelClient | str | None = None,
        adapter: Adapter | TwoStep | None = None,
        demos: Demos = (),
        config: Sampling = _SAMPLING,
        max_repairs: int = 1,
    ) -> None:
        self.signature = make_signature(signature)
        self.client = client
        self.adapter = adapter
        self.demos = _as_demos(demos)
        self.config = config
        self.max_repairs = max_repairs
        self._declared = str(self.signature)
        _check_settings(vars(self))

    async def forward(self, /, **inputs: Any) -> Prediction:
        """Ask the model.

        Args:
            inputs: those of the signature; `config=Sampling(...)` besides them holds for this call.
        """
        config = self._config_of(inputs)
        values = self.signature.bind(inputs)
        if self.signature.cached(_rich_inputs, _rich_inputs):
            values = await _loaded(values)

        client = self._find_client(self.client)
        adapter = self.adapter or _CHAT
        asking = adapter.asking if isinstance(adapter, TwoStep) else adapter
        exchange = self._exchange(client, asking, self.signature, config)
        request = await self._request(exchange, values, config)
        here = current()
        if here.sample:
            request = replace(request, sample=here.sample)

        choices = await exchange.ask(request)
        if isinstance(adapter, TwoStep):
            read = [await self._extracted(exchange, adapter, choice) for choice in choices]
        else:
            read = [await exchange.read(request, choice) for choice in choices]

        prediction = _prediction(read, here.meter)
        if here.trace is not None:
            here.trace.record(TraceEntry(self, values, prediction))

        return prediction

    def with_signature(self, signature: SignatureLike) -> Self:
        """Return a copy that asks for another signature."""
        return self.changed(signature=make_signature(signature))

    def with_instructions(self, instructions: str) -> Self:
        """Return a copy with other instructions."""
        return self.changed(signature=self.signature.with_instructions(instructions))

    def changed(self, **changes: Any) -> Self:
        """Return a copy with other settings; they are named as in the constructor."""
        if "demos" in changes:
            changes["demos"] = _as_demos(changes["demos"])

        if unknown := sorted(changes.keys() - _SETTINGS):
            raise TypeError(f"a predictor has no {unknown}: it has {sorted(_SETTINGS)}")

        _check_settings(changes)
        return self._copy(changes)

    def constructor_arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments without the settings, which are in the state."""
        arguments = super().constructor_arguments()
        return {key: value for key, value in arguments.items() if key not in _STATEFUL}

    @property
    def declared(self) -> str:
        """The signature's text as the constructor made it, whatever copies have changed since."""
        return self._declared

    def input_names(self) -> list[str]:
        """Return the names of the inputs it takes, in order."""
        return list(self.signature.input_fields)

    def _config_of(self, inputs: dict[str, Any]) -> Sampling:
        if "config" not in inputs or "config" in self.signature.input_fields:
            return self.config

        config: object = inputs.pop("config")
        if not isinstance(config, Sampling):
            raise InputError(f"config must be a Sampling, got {config!r}")

        return config

    def _find_client(self, client: ModelClient | str | None) -> ModelClient:
        if client is None or isinstance(client, str):
            return cast("ModelClient", find_runtime().client(client))

        return client

    def _exchange(
        self, client: ModelClient, adapter: Adapter, signature: Signature, config: Sampling
    ) -> Exchange:
        fitted = adapter.fitted(signature, client.compat, config)
        return Exchange(self, client, fitted, signature)

    async def _request(
        self, exchange: Exchange, values: dict[str, Any], config: Sampling
    ) -> Request:
        adapter = exchange.adapter
        kept = cast("tuple[Adapter, tuple[Message, ...]] | None", vars(self).get("_prefix"))
        if kept is None or (kept[0] is not adapter and kept[0] != adapter):
            # Rendered once per predictor: the only thing a frozen program ever adds to itself.
            kept = adapter, adapter.prefix(self.signature, await self._loaded_demos())
            vars(self)["_prefix"] = kept

        return adapter.prepare(
            self.signature,
            self.demos,
            values,
            capabilities=exchange.client.compat,
            sampling=config,
            prefix=kept[1],
        )

    async def _loaded_demos(self) -> tuple[Example, ...]:
        if not self.signature.cached(_rich_inputs, _rich_inputs):
            return self.demos

        return tuple(
            [
                demo.with_values(**await _loaded({name: demo[name] for name in demo}))
                for demo in self.demos
            ]
        )

    async def _extracted(self, asked: Exchange, form: TwoStep, choice: Choice) -> Reading:
        """Have the fields of a free answer extracted by the other model."""
        client = asked.client if form.extractor is None else self._find_client(form.extractor)
        native = native_outputs(self.signature, asked.adapter)
        if len(native) == len(self.signature.output_fields):
            return merged(self.signature, {}, asked.adapter, choice), ()

        signature = extraction_of(self.signature, native)
        exchange = self._exchange(client, form.extracting, signature, _SAMPLING)
        (name,) = signature.input_fields
        request = exchange.adapter.prepare(
            signature, (), {name: choice.text}, capabilities=client.compat
        )
        (extract, *_) = await exchange.ask(request)
        fields, repairs = await exchange.read(request, extract)
        return merged(self.signature, fields, asked.adapter, choice), repairs

    def __repr__(self) -> str:
        demos = f", {len(self.demos)} demos" if self.demos else ""
        return f"{type(self).__name__}({str(self.signature)!r}{demos})"


_STATEFUL = frozenset({"adapter", "client", "config", "demos", "max_repairs"})
_SETTINGS = _STATEFUL | {"signature"}


def _check_settings(settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        problem = _SETTING_CHECKS[name](value) if name in _SETTING_CHECKS else None
        if problem is not None:
            raise ValueError(f"{name} must be {problem}, got {value!r}")


def _unless(fits: bool, wanted: str) -> str | None:
    return None if fits else wanted


_SETTING_CHECKS: Final[Mapping[str, Callable[[Any], str | None]]] = {
    "adapter": lambda v: _unless(
        v is None or isinstance(v, TwoStep) or hasattr(v, "parse"), "an Adapter, TwoStep or None"
    ),
    "client": lambda v: _unless(
        v is None or isinstance(v, str) or hasattr(v, "complete"),
        'a client, "provider/model" or None',
    ),
    "config": lambda v: _unless(isinstance(v, Sampling), "a Sampling"),
    "max_repairs": lambda v: _unless(isinstance(v, int) and v >= 0, "an integer from 0 up"),
    "signature": lambda v: _unless(isinstance(v, Signature), "a Signature"),
}


def _prediction(read: list[Reading], meter: UsageMeter | None) -> Prediction:
    usage = Usage() if meter is None else meter.total
    values, repairs = read[0]
    if len(read) == 1:
        return Prediction.of(values, usage, repairs=repairs)

    return Prediction.of(
        values,
        usage,
        repairs=tuple(repair for _, repairs in read for repair in repairs),
        completions=tuple(Prediction.of(values, repairs=mended) for values, mended in read),
    )


def _rich_inputs(signature: Signature) -> bool:
    return any(may_hold_field_types(field.annotation) for field in signature.input_fields.values())


async def _loaded(values: dict[str, Any]) -> dict[str, Any]:
    """Return inputs with all their files in memory."""
    loaded: dict[str, Any] = {}
    for name, value in values.items():
        try:
            loaded[name] = await load_all(value)
        except (OSError, ValueError) as exc:
            raise InputError(f"the input {name!r} cannot be read: {exc}") from exc

    return loaded


def _as_demos(demos: Demos) -> tuple[Example, ...]:
    return tuple(
        demo if isinstance(demo, Example) else Example(cast("Mapping[str, Any] | Record", demo))
        for demo in demos
    )
