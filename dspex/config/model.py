"""What every table of settings is: frozen, strict about names, silent about its input."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ("FrozenModel",)


class FrozenModel(BaseModel):
    """A table of settings: no unknown name, no infinity, and no value shown in an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False
    )
