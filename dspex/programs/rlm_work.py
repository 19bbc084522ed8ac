"""What the code of one call of a recursive language model may do outside its sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex.errors import ParseError, ProviderError
from dspex.programs.code.interpreter import SubmitError
from dspex.programs.sampling import run_all
from dspex.programs.tools.code_functions import CodeFunctions
from dspex.signatures.encoding import is_items

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.programs.code.interpreter import HostFunction
    from dspex.programs.rlm import RLM
    from dspex.signatures.signature import Signature

__all__ = ("Work",)


class Work:
    """The functions of one call: its budget of model calls, and the outputs once submitted."""

    def __init__(self, program: RLM, task: Signature) -> None:
        self.submitted: dict[str, Any] | None = None
        self._program = program
        self._task = task
        self._tools = CodeFunctions(program.toolbox)
        self._calls = 0

    def functions(self) -> Mapping[str, HostFunction]:
        """Return what the code may call, by name."""
        return {
            **self._tools.by_name(),
            "llm_query": self._query,
            "llm_query_batched": self._query_batched,
            "SUBMIT": self._submit,
        }

    def raise_fatal(self) -> None:
        """Raise the error that ends the program, if there is one."""
        self._tools.raise_fatal()

    async def _query(self, prompt: Any) -> str:
        self._spend(1)
        return await self._asked(prompt)

    async def _query_batched(self, prompts: Any) -> list[str]:
        if not is_items(prompts):
            raise TypeError("takes a list of texts; for one there is llm_query")

        self._spend(len(prompts))
        bound = self._program.max_concurrency
        return await run_all(self._asked, list(prompts), name="batch", max_concurrency=bound)

    async def _asked(self, prompt: Any) -> str:
        if not isinstance(prompt, str):
            raise TypeError(f"a prompt is a text, got {type(prompt).__name__}")

        try:
            answer = await self._program.query(prompt=prompt)
        except ParseError as exc:
            return exc.text
        except ProviderError as exc:
            if exc.unavailable:
                # An outage is no matter for the code that happened to ask.
                raise self._tools.end_with(exc) from exc

            raise

        return str(answer["response"])

    async def _submit(self, *args: Any, **outputs: Any) -> None:
        fields = self._task.output_fields
        given = {**dict(zip(fields, args, strict=False)), **outputs}
        if len(args) > len(fields) or given.keys() != fields.keys():
            raise TypeError(f"takes exactly {list(fields)}, got {list(given)}")

        values: dict[str, Any] = {}
        for name, field in fields.items():
            try:
                values[name] = field.validate(given[name])
            except ValueError as exc:
                raise ValueError(f"the output `{name}` does not fit: {exc}") from exc

        self.submitted = values
        raise SubmitError("submitted")

    def _spend(self, calls: int) -> None:
        left = self._program.max_llm_calls - self._calls
        if calls > left:
            raise RuntimeError(
                f"{calls} calls are too many: {left} of {self._program.max_llm_calls} are left; "
                "work with what is known, and SUBMIT"
            )

        self._calls += calls
