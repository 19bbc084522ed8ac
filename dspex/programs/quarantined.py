"""A program that refuses inputs which keep failing, for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from dspex.effects import current, find_runtime, now_s
from dspex.errors import ConfigError, InputError, InputQuarantined, ProviderError, RuntimeNotFound
from dspex.programs.identity import identify_call
from dspex.programs.program import Program
from dspex.telemetry.events import INPUT_QUARANTINED

if TYPE_CHECKING:
    from dspex.programs.quarantine import Quarantine, QuarantineEntry
    from dspex.signatures.prediction import Prediction

__all__ = ("Quarantined",)

_CALLERS_FAULT = (ConfigError, InputError, RuntimeNotFound)


class _QuarantineOwner(Protocol):
    @property
    def quarantine(self) -> Quarantine: ...


class Quarantined(Program):
    """Refuses an input that has failed three times in a row, for an hour, without asking anybody.

        safe = Quarantined(ChainOfThought("document -> summary"))

    What fails is the program on this very input: an answer that cannot be read, a deadline, a
    crash. An outage of the provider, an empty budget, and inputs of the wrong type do not count;
    inputs without a JSON form are not known again. Another model is another program.
    The memory is the runtime's `quarantine`, a supervised child; the event
    `("dspex", "input", "quarantined")` announces each input that enters.

    Args:
        program: what is called.
    """

    _derived: ClassVar[frozenset[str]] = frozenset({"_digest"})

    program: Program

    def __init__(self, program: Program) -> None:
        self.program = program

    async def forward(self, **inputs: Any) -> Prediction:
        """Return the program's prediction.

        Raises:
            InputQuarantined: the input is refused; it says for how long, and shows the errors.
        """
        quarantine = cast("_QuarantineOwner", find_runtime()).quarantine
        key = await identify_call(self.program, self._program_digest(), inputs)
        if key is None:
            return await self.program(**inputs)

        entry = quarantine.refusal(key, now_s())
        if entry is not None:
            raise _refusal(entry)

        try:
            prediction = await self.program(**inputs)
        except Exception as exc:
            if _counts(exc):
                text = f"{type(exc).__name__}: {exc}"
                entered = quarantine.failed(key, repr(inputs), text, now_s())
                if entered is not None:
                    _announce(self.program, entered)

            raise

        quarantine.succeeded(key)
        return prediction

    def input_names(self) -> list[str]:
        """Return the names of the inputs it takes, in order."""
        return self.program.input_names()

    def _program_digest(self) -> str:
        known = cast("str | None", vars(self).get("_digest"))
        if known is None:
            known = vars(self)["_digest"] = self.program.digest()

        return known


def _counts(error: Exception) -> bool:
    if isinstance(error, ProviderError):
        return not error.unavailable

    return not isinstance(error, _CALLERS_FAULT)


def _refusal(entry: QuarantineEntry) -> InputQuarantined:
    assert entry.until_s is not None
    left_s = max(entry.until_s - now_s(), 0.0)
    return InputQuarantined(
        f"this input failed {len(entry.failures)} times in a row and is refused for another "
        f"{left_s:.0f} s: {entry.shown}; its last error was {entry.failures[-1]}; "
        "`runtime.quarantine.release()` lets it go",
        retry_after_s=left_s,
        failures=entry.failures,
    )


def _announce(program: Program, entry: QuarantineEntry) -> None:
    runtime = current().runtime
    if runtime is not None and INPUT_QUARANTINED in runtime.bus.listeners:
        runtime.bus.execute(
            INPUT_QUARANTINED,
            {"failures": len(entry.failures)},
            {
                "program": type(program).__name__,
                "input": entry.shown,
                "errors": entry.failures,
                "correlation_id": current().correlation_id,
            },
        )
