"""A program whose results are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from dspex.effects import LIVE, current, find_runtime, now_s
from dspex.errors import RuntimeNotFound
from dspex.programs.identity import identify_call
from dspex.programs.predict import Predict
from dspex.programs.program import Program
from dspex.signatures.prediction import Prediction
from dspex.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.effects import ResultCache

__all__ = ("Cached",)

_NAMESPACE = "module"


class Cached(Program):
    """Keeps what a program gives, by the program's digest, its models and its inputs.

        cheap = Cached(Pipeline(), ttl_s=86_400.0)

    The results live in the runtime's cache, in memory and, where a path is set, on disk for other
    processes too; a changed prompt, demonstration or constructor argument makes another digest.
    Independent samples are kept apart, and files count by what they hold; failures are not kept,
    nor is what was asked with inputs that have no JSON form. A result comes back as the types of
    the signature where the program is a predictor, otherwise as plain JSON. Without a runtime,
    without a cache, and in a job, whose journal knows better, the program is simply called.

    Args:
        program: what is called.
        ttl_s: no older result is used; None keeps them as long as the cache has room.
        mode: "on", "off", "read" (keeps nothing new) or "refresh" (asks again and keeps that).
    """

    _derived: ClassVar[frozenset[str]] = frozenset({"_digest"})

    program: Program
    ttl_s: float | None
    mode: Literal["on", "off", "read", "refresh"]

    def __init__(
        self,
        program: Program,
        *,
        ttl_s: float | None = None,
        mode: Literal["on", "off", "read", "refresh"] = "on",
    ) -> None:
        if ttl_s is not None and not ttl_s > 0:
            raise ValueError(f"ttl_s must be more than 0 or None, got {ttl_s!r}")

        if mode not in ("on", "off", "read", "refresh"):
            raise ValueError(f"mode must be 'on', 'off', 'read' or 'refresh', got {mode!r}")

        self.program = program
        self.ttl_s = ttl_s
        self.mode = mode

    async def forward(self, **inputs: Any) -> Prediction:
        """Return the program's prediction, kept or new."""
        store = self._store()
        if store is None:
            return await self.program(**inputs)

        known_as = f"{self._program_digest()}:{current().sample}"
        key = await identify_call(self.program, known_as, inputs)
        if key is None:
            return await self.program(**inputs)

        if self.mode != "refresh":
            kept = self._revived(await store.get_json(_NAMESPACE, key))
            if kept is not None:
                return kept

        prediction = await self.program(**inputs)
        if self.mode != "read":
            _keep(store, key, prediction)

        return prediction

    def input_names(self) -> list[str]:
        """Return the names of the inputs it takes, in order."""
        return self.program.input_names()

    def _store(self) -> ResultCache | None:
        if self.mode == "off" or current().gate is not LIVE:
            return None

        try:
            return find_runtime().cache
        except RuntimeNotFound:
            return None

    def _revived(self, kept: Mapping[str, Any] | None) -> Prediction | None:
        if kept is None or (self.ttl_s is not None and now_s() - kept["at_s"] > self.ttl_s):
            return None

        values = _typed(self.program, kept["values"])
        if values is None:
            return None

        meter = current().meter
        usage = Usage(cache_hits=1)
        if meter is not None:
            meter.add(usage)

        return Prediction.of(values, usage)

    def _program_digest(self) -> str:
        known = cast("str | None", vars(self).get("_digest"))
        if known is None:
            known = vars(self)["_digest"] = self.program.digest()

        return known


def _typed(program: Program, values: dict[str, Any]) -> dict[str, Any] | None:
    """Return kept values as the types of the program's outputs; None if they do not fit them."""
    if not isinstance(program, Predict):
        return values

    fields = program.signature.output_fields
    try:
        return {name: fields[name].validate(value) for name, value in values.items()}
    except (KeyError, ValueError):
        return None


def _keep(store: ResultCache, key: str, prediction: Prediction) -> None:
    try:
        values = prediction.to_dict()["values"]
        store.put_json(_NAMESPACE, key, {"at_s": now_s(), "values": values})
    except TypeError:
        return  # a value without a JSON form cannot be kept: it is asked for again
