"""The settings of what a runtime tells about itself, beside its log."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from dspex.config.model import FrozenModel

__all__ = ("TelemetrySettings",)


class TelemetrySettings(FrozenModel):
    """Where events go; nothing is built for what nobody asks for.

    Attributes:
        log_path: the log goes to the end of this file; None: to standard error.
        otel: spans and metrics go to OpenTelemetry's providers, which the application sets up.
        otel_content: also what was asked and answered, which may be private.
        prometheus: counters and histograms are kept for `Runtime.metrics_text`.
        metrics_port: also answer `GET /metrics` there; 0: on any free port.
        metrics_host: the address to answer on.
    """

    log_path: Path | None = None
    otel: bool = False
    otel_content: bool = False
    prometheus: bool = False
    metrics_port: int | None = Field(default=None, ge=0, le=65_535)
    metrics_host: str = "127.0.0.1"
