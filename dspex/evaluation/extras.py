"""Libraries that not everybody has, loaded by whoever needs them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from dspex.errors import EvaluationError

__all__ = ("arrow",)


def arrow() -> tuple[Any, Any]:
    """Return the modules `pyarrow` and `pyarrow.parquet`.

    Raises:
        EvaluationError: they are not installed; names the extra that has them.
    """
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as exc:
        raise EvaluationError(
            "Parquet needs pyarrow, which is not installed: pip install 'dspex[data]'"
        ) from exc
