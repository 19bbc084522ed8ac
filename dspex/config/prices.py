"""What the models of one provider cost."""

from __future__ import annotations

from pydantic import Field

from dspex.config.model import FrozenModel

__all__ = ("ModelPrice",)


class ModelPrice(FrozenModel):
    """US dollars per million tokens of one model.

    Tokens that a prompt cache served or took in cost what other input does unless they have prices
    of their own. `batch_discount` is the part taken off calls that go through a batch interface.
    """

    input_usd_per_million_tokens: float = Field(ge=0)
    output_usd_per_million_tokens: float = Field(ge=0)
    cache_read_usd_per_million_tokens: float | None = Field(default=None, ge=0)
    cache_write_usd_per_million_tokens: float | None = Field(default=None, ge=0)
    batch_discount: float = Field(default=0.5, ge=0, le=1)
