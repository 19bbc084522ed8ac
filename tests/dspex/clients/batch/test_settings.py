"""Settings that cannot work are refused."""

from __future__ import annotations

import pytest

from dspex.clients.batch.settings import BatchSettings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_requests", 0),
        ("max_bytes", -1),
        ("max_wait_s", -0.1),
        ("poll_s", 0),
        ("max_poll_s", float("inf")),
        ("call_timeout_s", float("nan")),
    ],
)
def test_the_error_names_the_setting(name: str, value: float) -> None:
    """And shows the value."""
    with pytest.raises(ValueError, match=rf"{name} must be"):
        BatchSettings(**{name: value})  # type: ignore[arg-type]  # by name
