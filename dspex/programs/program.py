"""The base of every program: parts as plain attributes, plain async code, named inputs."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import CoroutineType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias, cast

from anyio import to_thread

from dspex.effects import current, scope
from dspex.errors import InputError
from dspex.programs.composite import Composite
from dspex.programs.events import Watch, inherited
from dspex.programs.files import write_document
from dspex.programs.migrations import FILE_MARK, FILE_SCHEMA, made_with
from dspex.programs.parallel import Parallel, paired
from dspex.programs.state import (
    apply_state,
    build_program,
    constructor_recipe,
    predictor_state,
    program_digest,
    shared_paths,
)
from dspex.programs.streaming.listening import tell_status
from dspex.programs.streaming.stream import stream_program
from dspex.recipe import Recipe
from dspex.signatures.prediction import Prediction
from dspex.usage import UsageMeter

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, Callable

    from dspex.adapters.protocol import Adapter
    from dspex.clients.protocol import ModelClient
    from dspex.effects import CallScope
    from dspex.messages import Sampling
    from dspex.programs.parallel import CallFailed, Rows
    from dspex.programs.predict import Predict
    from dspex.programs.provenance import Provenance
    from dspex.programs.streaming.events import StreamItem
    from dspex.signatures.example import Example

__all__ = ("Demos", "Program")

Demos: TypeAlias = "Sequence[Example | Mapping[str, Any]]"
"""Demonstrations of one predictor, in the order shown."""


class Program(Composite):
    """A language-model program: parts as plain attributes, `async def forward(self, **inputs)`.

        class Pipeline(Program):
            def __init__(self):
                self.draft = ChainOfThought("question -> draft")
                self.polish = Predict("question, draft -> answer")

            async def forward(self, question):
                draft = await self.draft(question=question)
                return await self.polish(question=question, draft=draft.draft)

    Immutable once `__init__` has returned; safe to call from any number of tasks at once. Call the
    program and not its `forward`: the call opens the scope that meters and names it.
    """

    _is_predictor: ClassVar[bool] = False

    async def forward(self, *args: Any, **inputs: Any) -> Prediction:
        """Answer the inputs; every program says how."""
        raise NotImplementedError(f"{type(self).__name__} has no `async def forward(self, ...)`")

    async def __call__(self, /, *args: Any, **inputs: Any) -> Prediction:
        """Run the program on named inputs.

        Returns:
            The prediction of `forward`; its `usage` covers every call below.

        Raises:
            InputError: an input is positional, unknown, missing or of the wrong type.
            ProviderError: a model call failed.
            ParseError: a model's answer could not be read, even after repair.
        """
        if args:
            raise InputError(self._positional_problem(args))

        outer = current()
        meter = UsageMeter(outer.meter)
        name = outer.owner._name_of(self) if isinstance(outer.owner, Composite) else None
        changes = {"owner": self, "meter": meter, **inherited(outer)}
        with scope(name or type(self).__name__, **changes) as here:
            observer = Watch.start(here, self)
            run = self._run(inputs) if here.listener is None else self._told(here, inputs)
            if observer is None:
                prediction = await run
            else:
                with observer:
                    prediction = await run

        return prediction.with_usage(meter.total)

    def stream(self, /, **inputs: Any) -> AsyncGenerator[StreamItem, None]:
        """Run the program and yield what happens in it, and last its prediction.

            async with aclosing(program.stream(question="...")) as items:
                async for item in items:
                    match item:
                        case FieldChunk(predictor, field, text): ...
                        case Prediction(): ...

        Chunks of every predictor's fields, the status of programs and tools below, and the
        `Prediction`. Nothing is buffered: a slow consumer slows the provider's socket. The response
        cache takes no part. Raises what a call raises.
        """
        return stream_program(self, inputs)

    def named_programs(self) -> dict[str, Program]:
        """Return the program as `self` and all parts below it; a shared part at its first path."""
        return {path: cast("Program", part) for path, part in self._walk().items()}

    def named_predictors(self) -> dict[str, Predict]:
        """Return the predictors by path; a program that is a predictor is `self`."""
        named = self.named_programs().items()
        return {path: cast("Predict", part) for path, part in named if part._is_predictor}

    async def batch(
        self,
        rows: Rows,
        *,
        max_concurrency: int = 100,
        on_error: Literal["return", "raise"] = "return",
    ) -> list[Prediction | CallFailed]:
        """Run the program on many rows of inputs, results in order; see `Parallel`.

        Args:
            rows: from any sync or async iterable, pulled when there is room; an Example gives its
                inputs alone.
            max_concurrency: calls at the same time.
            on_error: "return" puts a `CallFailed` in its place, "raise" cancels the rest.

        Raises:
            ExceptionGroup: with "raise", the failures.
        """
        parallel = Parallel(max_concurrency=max_concurrency, on_error=on_error)
        return await parallel(paired(self, rows))

    def input_names(self) -> list[str]:
        """Return the names of the inputs it takes, in order."""
        return [
            name
            for name, parameter in inspect.signature(self.forward).parameters.items()
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        ]

    def replace(self, changes: Mapping[str, Program]) -> Self:
        """Return a copy with other parts; what did not change is shared with this one.

        Args:
            changes: the new parts by the paths of `named_programs`.

        Raises:
            ValueError: there is no such path.
        """
        known = self.named_programs()
        if unknown := [path for path in changes if path not in known]:
            raise ValueError(f"no part is at {unknown}: there are {list(known)}")

        by_identity = {id(known[path]): part for path, part in changes.items()}
        return cast("Self", self._rebuilt(lambda part: by_identity.get(id(part))))

    def with_client(self, client: ModelClient | str | None) -> Self:
        """Return a copy whose predictors ask this client, or "provider/model" of the runtime."""
        return self._map_predictors(lambda predictor: predictor.changed(client=client))

    def with_adapter(self, adapter: Adapter | None) -> Self:
        """Return a copy whose predictors use this adapter."""
        return self._map_predictors(lambda predictor: predictor.changed(adapter=adapter))

    def with_config(self, config: Sampling | None = None, /, **changes: Any) -> Self:
        """Return a copy whose predictors sample in another way.

        Args:
            config: replaces each predictor's own.
            changes: settings of `Sampling` that replace single ones.
        """

        def configure(predictor: Predict) -> Predict:
            base = predictor.config if config is None else config
            return predictor.changed(config=replace(base, **changes))

        return self._map_predictors(configure)

    def with_demos(self, demos: Mapping[str, Demos] | Demos) -> Self:
        """Return a copy with other demonstrations.

        Args:
            demos: by predictor path; or simply a list, where there is only one predictor.

        Raises:
            ValueError: there is no such predictor, or a list came and there are several.
        """
        predictors = self.named_predictors()
        if not isinstance(demos, Mapping):
            if len(predictors) != 1:
                raise ValueError(
                    f"whose demos are they? Give them by path: there are {list(predictors)}"
                )

            demos = dict.fromkeys(predictors, demos)

        if unknown := [path for path in demos if path not in predictors]:
            raise ValueError(f"no predictor is at {unknown}: there are {list(predictors)}")

        return self.replace(
            {path: predictors[path].changed(demos=rows) for path, rows in demos.items()}
        )

    @property
    def provenance(self) -> Provenance | None:
        """How an optimizer made this program; None if none did."""
        return cast("Provenance | None", self._core.notes.get("provenance"))

    def with_provenance(self, provenance: Provenance | None) -> Self:
        """Return a copy that remembers how it was made."""
        return self._copy({}, notes={"provenance": provenance})

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain JSON data: each predictor's by path.

        Raises:
            TypeError: a type in a signature cannot be imported by name.
        """
        named = self.named_predictors().items()
        state = {"predictors": {path: predictor_state(predictor) for path, predictor in named}}
        shared = shared_paths(self)
        return {**state, "shared": shared} if shared else state

    def with_state(self, state: Mapping[str, Any]) -> Self:
        """Return a copy with a state that `to_dict` gave.

        Raises:
            LoadError: it is not such a state, or was taken from a program of another shape.
        """
        return apply_state(self, state)

    def to_parts(self) -> dict[str, Any]:
        """Return the whole program as plain JSON data: constructor's call, state, provenance.

        Raises:
            TypeError: a constructor argument or a type cannot be imported by name; names it.
        """
        return {
            "program": constructor_recipe(self).to_dict(),
            "state": self.to_dict(),
            "provenance": None if self.provenance is None else self.provenance.to_dict(),
        }

    @classmethod
    def from_parts(cls, data: Mapping[str, Any]) -> Program:
        """Build the program that `to_parts` described.

        Raises:
            LoadError: it cannot be built here.
        """
        return build_program(data, Program)

    def recipe(self) -> Recipe:
        """Return how to build an equal program in another process; clients are left out.

        Raises:
            TypeError: a constructor argument or a type cannot be imported by name; names it.
        """
        if self._is_predictor or self._core.copied:
            return Recipe(f"{Program.__module__}:Program.from_parts", {"data": self.to_parts()})

        return constructor_recipe(self)

    def digest(self) -> str:
        """Return a SHA-256 of class, constructor arguments and state, the same in every process.

        Clients and provenance do not count. A function that cannot be imported counts by its code
        and what it closes over, all else that has no JSON form by the name of its type.
        """
        return program_digest(self)

    async def save(self, path: str | os.PathLike[str]) -> None:
        """Write the program to a JSON file that `dspex.load` reads; an old file is replaced whole.

        Raises:
            TypeError: a constructor argument or a type cannot be imported by name; names it.
            OSError: the file cannot be written.
        """
        document = {FILE_MARK: FILE_SCHEMA, "made_with": made_with(), **self.to_parts()}
        await to_thread.run_sync(write_document, Path(path), document)

    async def _told(self, here: CallScope, inputs: dict[str, Any]) -> Prediction:
        """Run, and say so to the stream that listens."""
        await tell_status(here, self, "start")
        try:
            prediction = await self._run(inputs)
        except Exception:
            await tell_status(here, self, "error")
            raise

        await tell_status(here, self, "stop")
        return prediction

    async def _run(self, inputs: dict[str, Any]) -> Prediction:
        try:
            answer = self.forward(**inputs)
        except TypeError as exc:
            # An async function binds its arguments before its body runs.
            raise self._binding_problem(inputs, exc) from exc

        if type(answer) is not CoroutineType and not inspect.isawaitable(answer):
            raise TypeError(
                f"{type(self).__name__}.forward returned {answer!r} at once: write "
                "`async def forward`, and `await` the programs in it"
            )

        prediction: Any = await answer
        if not isinstance(prediction, Prediction):
            raise TypeError(
                f"{type(self).__name__}.forward returned {prediction!r}: return a Prediction, "
                "such as dspex.Prediction(answer=...)"
            )

        return prediction

    def _binding_problem(self, inputs: dict[str, Any], exc: TypeError) -> Exception:
        try:
            inspect.signature(self.forward).bind(**inputs)
        except TypeError as problem:
            return InputError(f"{type(self).__name__}: {problem}")

        return exc

    def _positional_problem(self, args: tuple[Any, ...]) -> str:
        named = zip(self.input_names(), args, strict=False)
        given = ", ".join(f"{name}={value!r}" for name, value in named)[:300]
        head = f"{type(self).__name__} takes its inputs by name"
        return f"{head}: write {given}" if given else f"{head}, got {args!r}"

    def _map_predictors(self, change: Callable[[Predict], Predict]) -> Self:
        def substitute(part: Any) -> Program | None:
            return change(part) if part._is_predictor else None

        return cast("Self", self._rebuilt(substitute))
