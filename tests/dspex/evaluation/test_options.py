"""Impossible options are refused before anything is called."""

from __future__ import annotations

import math
from typing import Any

import pytest

from dspex.errors import EvaluationError
from dspex.evaluation.options import EvaluationOptions


class TestEvaluationOptions:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("max_concurrency", 0),
            ("max_concurrency", -1),
            ("max_concurrency", 2.5),
            ("max_concurrency", "5"),
            ("max_concurrency", True),
            ("timeout_s", "1"),
            ("failure_score", None),
            ("failure_score", "0"),
            ("max_errors", "3"),
            ("max_outage_s", -1),
            ("max_outage_s", None),
            ("max_outage_s", math.nan),
            ("timeout_s", 0),
            ("timeout_s", -1),
            ("timeout_s", math.inf),
            ("timeout_s", math.nan),
            ("on_error", "ignore"),
            ("failure_score", math.nan),
            ("failure_score", math.inf),
            ("max_errors", 0),
            ("max_errors", -3),
            ("max_errors", True),
            ("max_errors", 0.0),
            ("max_errors", 1.5),
            ("max_errors", math.nan),
        ],
    )
    def test_refused_by_name_and_value(self, name: str, value: Any) -> None:
        """The message names the option and shows what it got."""
        with pytest.raises(EvaluationError, match=rf"^{name} is {value!r}"):
            EvaluationOptions(**{name: value})

    def test_worth_of_failure(self) -> None:
        """Failures count their score, or not at all."""
        assert EvaluationOptions(failure_score=0.2).worth_of_failure == 0.2
        assert EvaluationOptions(on_error="skip").worth_of_failure is None

    @pytest.mark.parametrize(
        ("limit", "errors", "finished", "stop"),
        [
            (None, 10, 10, False),
            (3, 2, 100, False),
            (3, 3, 3, True),
            (0.5, 10, 19, False),
            (0.5, 9, 20, False),
            (0.5, 10, 20, True),
            (1.0, 20, 20, True),
        ],
    )
    def test_too_many_errors(
        self, limit: int | float | None, errors: int, finished: int, stop: bool
    ) -> None:
        """A count is reached at once; a share is judged from twenty examples on."""
        assert EvaluationOptions(max_errors=limit).too_many_errors(errors, finished) is stop
