"""Which exporters a runtime starts, as children of one supervisor."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from dspex.telemetry.listening import require
from supervision import ChildSpec

if TYPE_CHECKING:
    from pathlib import Path

    from supervision.telemetry import Bus

__all__ = ("exporters",)


def exporters(
    bus: Bus,
    *,
    log: Literal["console", "json", "off"],
    log_level: str,
    log_path: Path | None,
    otel: bool,
    otel_content: bool,
    prometheus: bool,
    metrics_host: str,
    metrics_port: int | None,
) -> list[ChildSpec]:
    """Describe the exporters that the settings ask for; what they do not ask for is not loaded.

    Raises:
        ConfigError: the library of one of them is missing.
    """
    specs: list[ChildSpec] = []
    if log != "off":
        from dspex.telemetry.log import log_child

        specs.append(ChildSpec("log", log_child, args=(bus, log, log_level, log_path)))

    if otel:
        require("opentelemetry.sdk", extra="otel", key="telemetry.otel")
        from dspex.telemetry.otel import otel_exporter

        specs.append(ChildSpec("otel", partial(otel_exporter, content=otel_content), args=(bus,)))

    if prometheus or metrics_port is not None:
        require("prometheus_client", extra="metrics", key="telemetry.prometheus")
        from dspex.telemetry.prometheus import metrics_exporter

        start = partial(metrics_exporter, host=metrics_host, port=metrics_port)
        specs.append(ChildSpec("metrics", start, args=(bus,)))

    return specs
