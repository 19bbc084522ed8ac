"""Functions that models may call."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, cast

from dspex.effects import Effect, current, scope
from dspex.errors import ProviderError, ToolError
from dspex.messages import ImagePart, ToolCall, ToolSpec
from dspex.recipe import Recipe, encode_argument
from dspex.types.base import FieldType
from dspex.types.tool_announcing import announced
from dspex.types.tool_calls import ToolFailure, ToolResult, read_arguments
from dspex.types.tool_mcp import McpFunction, list_mcp_tools, mcp_name
from dspex.types.tool_naming import checked_name
from dspex.types.tool_running import Once, call_function
from dspex.types.tool_schema import ToolSchema, is_table, schema_of
from dspex.types.tool_values import as_json, call_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dspex.messages import Compat, Sampling
    from dspex.types.tool_running import CallPolicy

__all__ = ("Tool",)

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({"type": "object", "properties": {}})
_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True, init=False, eq=False, repr=False)
class Tool(FieldType):
    '''A function that a model may call; an immutable value.

        async def weather(city: str, days: int = 1) -> list[float]:
            """Forecast the temperature."""
            ...

        Tool(weather, timeout_s=10)

    Name, description and schema come from the function, its annotations and its Google-style
    docstring. Arguments are checked and converted by their annotations before it is called. Async
    functions run in the caller's task, all others in a thread. Equal by name, schema and function;
    saved by the function's import path, without the policy.

    Args:
        func: what is called, by keyword.
        name: as models see it; None is the function's own.
        description: None is the beginning of the docstring.
        parameters: a JSON schema that replaces the one of the annotations; the arguments then go to
            the function as the model wrote them.
        timeout_s: of one call, the wait for a thread included; None for no limit.
        idempotent: whether a policy may call it again after a try that failed.
        on_error: whether programs show its failures to the model ("observe"), or end with them.
        policy: limits, retries and a breaker around each call: `dspex.Policy`.

    Raises:
        ToolError: no schema can be made of it; the message names the parameter and the fix.
    '''

    func: Callable[..., Any]
    name: str
    description: str
    parameters: Mapping[str, Any]
    timeout_s: float | None
    idempotent: bool
    on_error: Literal["observe", "raise"]
    policy: CallPolicy | None
    _schema: ToolSchema | None
    _given: Mapping[str, Any]

    def __init__(
        self,
        func: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        timeout_s: float | None = _TIMEOUT_S,
        idempotent: bool = False,
        on_error: Literal["observe", "raise"] = "observe",
        policy: CallPolicy | None = None,
    ) -> None:
        called = checked_name(func, name)
        if timeout_s is not None and not timeout_s > 0:
            problem = f"timeout_s must be more than 0 or None, got {timeout_s!r}"
            raise ToolError(problem, tool=called, reason="definition")

        if on_error not in ("observe", "raise"):
            problem = f"on_error must be 'observe' or 'raise', got {on_error!r}"
            raise ToolError(problem, tool=called, reason="definition")

        schema = schema_of(func, called) if parameters is None else None
        given = {
            "name": name,
            "description": description,
            "parameters": None if parameters is None else dict(parameters),
            "timeout_s": timeout_s,
            "idempotent": idempotent,
            "on_error": on_error,
        }
        described = (
            schema.description if schema is not None and description is None else description
        )
        values: dict[str, Any] = {
            **given,
            "func": func,
            "name": called,
            "description": described or "",
            "parameters": parameters or (_NOTHING if schema is None else schema.parameters),
            "policy": policy,
            "_schema": schema,
            "_given": {key: held for key, held in given.items() if held != _DEFAULTS[key]},
        }
        for key, held in values.items():
            object.__setattr__(self, key, held)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tool):
            return NotImplemented

        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash((self.name, self.func))

    def __repr__(self) -> str:
        return f"Tool({self.name!r}, {list(self.parameters.get('properties', ()))})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.func, dict(self._given))

    def _identity(self) -> tuple[Any, ...]:
        return self.name, self.description, dict(self.parameters), self.func

    async def __call__(self, **arguments: Any) -> Any:
        """Call it and return what it gave, as JSON data.

        Raises:
            ToolError: the arguments do not fit, it raised, or it took too long.
        """
        result = await self.result_of(arguments)
        if result.error is not None:
            raise ToolError(str(result.value), tool=self.name, reason=result.error)

        return result.value

    async def answer(self, call: ToolCall) -> ToolResult:
        """Return the result of a call that a model has written; failures are results, too."""
        try:
            arguments = read_arguments(call.arguments)
        except ValueError as exc:
            return ToolResult(self.name, str(exc), call_id=call.id, error="arguments")

        return await self.result_of(arguments, call_id=call.id)

    async def result_of(self, arguments: Mapping[str, Any], *, call_id: str = "") -> ToolResult:
        """Return the result of one call, in a scope of its own and through its gate.

        Whatever goes wrong is a result as well, which says so; only what belongs to the caller, a
        cancellation, is raised.
        """
        with scope(self.name):
            effect = Effect(
                "tool",
                run=lambda: announced(self.name, self._outcome(arguments, call_id)),
                digest=lambda: call_digest(self.name, arguments),
                encode=ToolResult.to_json,
                decode=ToolResult.from_json,
            )
            return await current().gate.call(effect)

    async def _outcome(self, arguments: Mapping[str, Any], call_id: str) -> ToolResult:
        try:
            given = await self._limited(self._checked(arguments))
        except ToolError as exc:
            return self._failed(exc.problem, _failure(exc.reason), call_id)
        except ProviderError as exc:
            return self._failed(_said(exc), "refused", call_id)
        except Exception as exc:
            return self._failed(_said(exc), "crash", call_id)

        if isinstance(given, ToolResult):
            return ToolResult(
                self.name,
                as_json(given.value),
                call_id=call_id,
                error=given.error,
                images=given.images,
            )

        images = (given,) if isinstance(given, ImagePart) else ()
        return ToolResult(
            self.name, "" if images else as_json(given), call_id=call_id, images=images
        )

    def _checked(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if self._schema is not None:
            return self._schema.check(self.name, arguments)

        wanted: Iterable[str] = self.parameters.get("required", ())
        if missing := [name for name in wanted if name not in arguments]:
            problem = f"the arguments {missing} are missing"
            raise ToolError(problem, tool=self.name, reason="arguments")

        return dict(arguments)

    async def _limited(self, arguments: dict[str, Any]) -> Any:
        limit = asyncio.timeout(self.timeout_s)
        try:
            async with limit:
                if self.policy is None:
                    return await call_function(self.func, arguments)

                once = call_function if self.idempotent else Once().call
                return await self.policy.run(once, self.func, arguments)
        except TimeoutError as exc:
            if not limit.expired():
                raise

            problem = f"gave no result within {self.timeout_s:g} s"
            raise ToolError(problem, tool=self.name, reason="timeout") from exc

    def _failed(self, problem: str, reason: ToolFailure, call_id: str) -> ToolResult:
        return ToolResult(self.name, problem, call_id=call_id, error=reason)

    def spec(self) -> ToolSpec:
        """Return it as a request holds it."""
        return ToolSpec(self.name, self.description, self.parameters)

    def render(self) -> str:
        """Return name, description and arguments, for endpoints without tool calling."""
        arguments = dict(self.parameters.get("properties", {}))
        about = f": {self.description}" if self.description else ""
        written = json.dumps(arguments, ensure_ascii=False)
        return f"{self.name}{about}\narguments: {written}"

    @classmethod
    def describe(cls, *parameters: Any) -> str:
        """Return what it is; models write none."""
        return "a tool"

    def to_json(self) -> Any:
        """Return its description; the function stays behind."""
        return {
            "name": self.name,
            "description": self.description,
            "parameters": dict(self.parameters),
        }

    @classmethod
    def json_schema(cls, *parameters: Any) -> dict[str, Any]:
        """Return the schema of `to_json`."""
        return {"type": "object"}

    @classmethod
    def from_json(cls, data: Any, *parameters: Any) -> Self:
        """Return the tool of a function, or of a description, whose calls then fail."""
        if callable(data):
            return cls(cast("Callable[..., Any]", data))

        if not is_table(data) or not isinstance(data.get("name"), str):
            raise ValueError(
                f"{str(data)[:200]!r} is not a tool: give a function, or Tool(function)"
            )

        return cls(
            _described_only,
            name=data["name"],
            description=str(data.get("description", "")),
            parameters=data.get("parameters") or _NOTHING,
        )

    @classmethod
    def parse(cls, text: str, *parameters: Any) -> Self:
        """Refuse: a tool is given in code."""
        raise ValueError(f"{text[:200]!r} is not a tool: tools are functions, not text")

    @classmethod
    async def from_mcp(cls, client: Any, *, server: str = "") -> tuple[Self, ...]:
        """Return the tools of a server to which the caller holds an open `mcp.Client`.

        They live as long as that connection; `McpServer` keeps one that comes back.

        Args:
            client: it must be closed by the task that opened it.
            server: goes in front of the tools' names.
        """
        tools: dict[str, Self] = {}
        for listed in await list_mcp_tools(client):
            name = mcp_name(server, listed.name, tools)
            tools[name] = cls(
                McpFunction(client, listed.name),
                name=name,
                description=listed.description or "",
                parameters=listed.input_schema,
            )

        return tuple(tools.values())

    @classmethod
    def travels_natively(cls, capabilities: Compat, sampling: Sampling) -> bool:
        """Tell whether the endpoint has tool calling."""
        return capabilities.tools

    def tool_specs(self) -> tuple[ToolSpec, ...]:
        """Return it as what it adds to the request."""
        return (self.spec(),)

    def recipe(self) -> Recipe:
        """Return how to build an equal tool in another process.

        Raises:
            TypeError: the function is a lambda, local, or bound to an object; the message names it.
        """
        given = {key: encode_argument(held, key) for key, held in self._given.items()}
        func = encode_argument(self.func, f"the function of the tool {self.name!r}")
        return Recipe(f"{Tool.__module__}:{Tool.__qualname__}", {"func": func, **given})


_DEFAULTS: Final[Mapping[str, Any]] = {
    "name": None,
    "description": None,
    "parameters": None,
    "timeout_s": _TIMEOUT_S,
    "idempotent": False,
    "on_error": "observe",
}


def _rebuilt(func: Callable[..., Any], given: dict[str, Any]) -> Tool:
    return Tool(func, **given)


def _described_only(**arguments: Any) -> None:
    raise ToolError("this is only its description: give the program the tool itself")


def _failure(reason: str) -> ToolFailure:
    return cast("ToolFailure", reason if reason in ("arguments", "timeout") else "crash")


def _said(exc: Exception) -> str:
    kind = type(exc).__name__
    try:
        return f"{kind}: {exc}"
    except Exception as worse:  # its text is code of the tool's, too
        return f"{kind}, which cannot say what it is: {type(worse).__name__}"
