"""The settings of the quarantine."""

from __future__ import annotations

from pydantic import Field

from dspex.config.model import FrozenModel

__all__ = ("QuarantineSettings",)


class QuarantineSettings(FrozenModel):
    """When an input that keeps failing is refused; for programs inside `Quarantined`.

    Attributes:
        max_failures: failures in a row that bring an input in.
        quarantine_s: how long it stays.
        max_inputs: how many inputs are remembered.
    """

    max_failures: int = Field(default=3, ge=1)
    quarantine_s: float = Field(default=3_600.0, gt=0)
    max_inputs: int = Field(default=10_000, ge=1)
