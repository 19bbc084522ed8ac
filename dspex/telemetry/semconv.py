"""The names of OpenTelemetry's conventions for generative AI, as far as we use them.

Copied, since the package that holds them marks them as still changing.
"""

from __future__ import annotations

from typing import Final

__all__ = (
    "DURATION",
    "DURATION_BUCKETS_S",
    "ERROR_TYPE",
    "FINISH_REASONS",
    "INPUT_MESSAGES",
    "INPUT_TOKENS",
    "OPERATION",
    "OUTPUT_MESSAGES",
    "OUTPUT_TOKENS",
    "PROVIDER",
    "REQUEST_MODEL",
    "RESPONSE_ID",
    "RESPONSE_MODEL",
    "SAMPLING",
    "TOKEN_BUCKETS",
    "TOKEN_TYPE",
    "TOKEN_USAGE",
)

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_ID: Final = "gen_ai.response.id"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 - no secret: input or output
ERROR_TYPE: Final = "error.type"

SAMPLING: Final = (
    ("temperature", "gen_ai.request.temperature"),
    ("top_p", "gen_ai.request.top_p"),
    ("top_k", "gen_ai.request.top_k"),
    ("max_tokens", "gen_ai.request.max_tokens"),
    ("seed", "gen_ai.request.seed"),
    ("presence_penalty", "gen_ai.request.presence_penalty"),
    ("frequency_penalty", "gen_ai.request.frequency_penalty"),
)
"""Fields of a request's sampling, and their attributes."""

DURATION: Final = "gen_ai.client.operation.duration"
DURATION_BUCKETS_S: Final = tuple(0.01 * 2**power for power in range(14))
TOKEN_USAGE: Final = "gen_ai.client.token.usage"  # noqa: S105 - a metric
TOKEN_BUCKETS: Final = tuple(float(4**power) for power in range(14))
