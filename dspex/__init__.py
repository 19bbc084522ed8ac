"""dspex: language-model programs compiled against data and a metric, on supervised processes.

Every public name is loaded when it is first used, so that `import dspex` stays cheap: no HTTP
client, no numerics, no file, no network. The names, and the packages they come from:

- programs: `Signature`, `Predict`, `ChainOfThought`, `Program`, `Example`, `Prediction`
- running them: `Runtime`, `Settings`, `run`, `map`
- scoring and improving them: `evaluate`, `compare`, `exact_match`, `BootstrapFewShot`
- what can go wrong: `dspex.errors`, a tree under `DspexError`
"""

from __future__ import annotations

import importlib.util
import os
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dspex.adapters import ChatAdapter as ChatAdapter
    from dspex.clients import (
        Budget as Budget,
        Client as Client,
        LocalBudget as LocalBudget,
        ModelClient as ModelClient,
    )
    from dspex.config import (
        BreakerSettings as BreakerSettings,
        CacheSettings as CacheSettings,
        ProviderSettings as ProviderSettings,
        Settings as Settings,
    )
    from dspex.effects import map as map
    from dspex.entry import run as run
    from dspex.errors import (
        AuthError as AuthError,
        BudgetExceeded as BudgetExceeded,
        CircuitOpen as CircuitOpen,
        ConfigError as ConfigError,
        ContentFiltered as ContentFiltered,
        ContextWindowExceeded as ContextWindowExceeded,
        DatasetError as DatasetError,
        DeadlineExceeded as DeadlineExceeded,
        DspexError as DspexError,
        EndpointUnavailable as EndpointUnavailable,
        EvaluationError as EvaluationError,
        InputError as InputError,
        InvalidRequest as InvalidRequest,
        LoadError as LoadError,
        OptimizerError as OptimizerError,
        ParseError as ParseError,
        PoolExhausted as PoolExhausted,
        ProtocolError as ProtocolError,
        ProviderError as ProviderError,
        ProviderTimeout as ProviderTimeout,
        QuotaExhausted as QuotaExhausted,
        RateLimited as RateLimited,
        RequestTooLarge as RequestTooLarge,
        RuntimeNotFound as RuntimeNotFound,
        SandboxError as SandboxError,
        ServerError as ServerError,
        SignatureError as SignatureError,
        TransportError as TransportError,
    )
    from dspex.evaluation import (
        Comparison as Comparison,
        Outcome as Outcome,
        Report as Report,
        Score as Score,
        compare as compare,
        contains as contains,
        evaluate as evaluate,
        exact_match as exact_match,
        f1 as f1,
        passage_match as passage_match,
    )
    from dspex.messages import (
        Message as Message,
        Request as Request,
        Response as Response,
        Sampling as Sampling,
    )
    from dspex.optimizers import (
        BootstrapFewShot as BootstrapFewShot,
        LabeledFewShot as LabeledFewShot,
    )
    from dspex.programs import (
        ChainOfThought as ChainOfThought,
        Predict as Predict,
        Program as Program,
        load as load,
    )
    from dspex.runtime import Runtime as Runtime
    from dspex.signatures import (
        Example as Example,
        InputField as InputField,
        OutputField as OutputField,
        Prediction as Prediction,
        Signature as Signature,
    )
    from dspex.usage import Usage as Usage

__all__ = (
    "AuthError",
    "BootstrapFewShot",
    "BreakerSettings",
    "Budget",
    "BudgetExceeded",
    "CacheSettings",
    "ChainOfThought",
    "ChatAdapter",
    "CircuitOpen",
    "Client",
    "Comparison",
    "ConfigError",
    "ContentFiltered",
    "ContextWindowExceeded",
    "DatasetError",
    "DeadlineExceeded",
    "DspexError",
    "EndpointUnavailable",
    "EvaluationError",
    "Example",
    "InputError",
    "InputField",
    "InvalidRequest",
    "LabeledFewShot",
    "LoadError",
    "LocalBudget",
    "Message",
    "ModelClient",
    "OptimizerError",
    "Outcome",
    "OutputField",
    "ParseError",
    "PoolExhausted",
    "Predict",
    "Prediction",
    "Program",
    "ProtocolError",
    "ProviderError",
    "ProviderSettings",
    "ProviderTimeout",
    "QuotaExhausted",
    "RateLimited",
    "Report",
    "Request",
    "RequestTooLarge",
    "Response",
    "Runtime",
    "RuntimeNotFound",
    "Sampling",
    "SandboxError",
    "Score",
    "ServerError",
    "Settings",
    "Signature",
    "SignatureError",
    "TransportError",
    "Usage",
    "compare",
    "contains",
    "evaluate",
    "exact_match",
    "f1",
    "load",
    "map",
    "passage_match",
    "run",
)

_NAMES: Final = {
    "dspex.adapters": ("ChatAdapter",),
    "dspex.clients": (
        "Budget",
        "Client",
        "LocalBudget",
        "ModelClient",
    ),
    "dspex.config": (
        "BreakerSettings",
        "CacheSettings",
        "ProviderSettings",
        "Settings",
    ),
    "dspex.effects": ("map",),
    "dspex.entry": ("run",),
    "dspex.errors": (
        "AuthError",
        "BudgetExceeded",
        "CircuitOpen",
        "ConfigError",
        "ContentFiltered",
        "ContextWindowExceeded",
        "DatasetError",
        "DeadlineExceeded",
        "DspexError",
        "EndpointUnavailable",
        "EvaluationError",
        "InputError",
        "InvalidRequest",
        "LoadError",
        "OptimizerError",
        "ParseError",
        "PoolExhausted",
        "ProtocolError",
        "ProviderError",
        "ProviderTimeout",
        "QuotaExhausted",
        "RateLimited",
        "RequestTooLarge",
        "RuntimeNotFound",
        "SandboxError",
        "ServerError",
        "SignatureError",
        "TransportError",
    ),
    "dspex.evaluation": (
        "Comparison",
        "Outcome",
        "Report",
        "Score",
        "compare",
        "contains",
        "evaluate",
        "exact_match",
        "f1",
        "passage_match",
    ),
    "dspex.messages": (
        "Message",
        "Request",
        "Response",
        "Sampling",
    ),
    "dspex.optimizers": (
        "BootstrapFewShot",
        "LabeledFewShot",
    ),
    "dspex.programs": (
        "ChainOfThought",
        "Predict",
        "Program",
        "load",
    ),
    "dspex.runtime": ("Runtime",),
    "dspex.signatures": (
        "Example",
        "InputField",
        "OutputField",
        "Prediction",
        "Signature",
    ),
    "dspex.usage": ("Usage",),
}
_HOMES: Final = MappingProxyType({name: home for home, names in _NAMES.items() for name in names})


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'dspex' has no attribute {name!r}")

    value = getattr(importlib.import_module(home), name)
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _refuse_stranger() -> None:
    spec = importlib.util.find_spec("supervision")
    folder = os.path.dirname(spec.origin) if spec is not None and spec.origin else ""  # noqa: PTH120 - pathlib would be a fifth of the import
    if not os.path.exists(os.path.join(folder, "intensity.py")):  # noqa: PTH110, PTH118 - likewise
        raise ImportError(
            "dspex needs the `supervision` package it is installed with, but "
            f"{spec.origin if spec else 'nothing'} is in its place: uninstall the other "
            "distribution of that name, or reinstall dspex"
        )


_refuse_stranger()
