"""Errors are data: they survive JSON and pickling, and tell an outage from a fault."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given, strategies as st

from dspex import errors
from dspex.errors import Attempt, ConfigError, ErrorData, ErrorKind, ParseError, to_exception
from dspex.usage import Usage

short = st.text(max_size=20)
data_without_attempts = st.builds(
    ErrorData,
    st.sampled_from(ErrorKind),
    short,
    provider=short,
    model=short,
    status=st.one_of(st.none(), st.integers(100, 599)),
    code=st.one_of(st.none(), short.filter(bool)),
    request_id=st.one_of(st.none(), short.filter(bool)),
    retry_after_s=st.one_of(st.none(), st.floats(0, 1e6)),
    should_retry=st.one_of(st.none(), st.just(True)),
    stage=st.one_of(st.none(), short.filter(bool)),
    stale_socket=st.booleans(),
    delivered=st.booleans(),
)
attempts = st.builds(
    Attempt,
    short,
    data_without_attempts,
    latency_s=st.floats(0, 1e6),
    usage=st.builds(Usage, input_tokens=st.integers(0, 1000)),
)


class TestErrorData:
    @given(data_without_attempts, st.lists(attempts, max_size=3))
    def test_survives_json_with_its_attempts(self, data: ErrorData, tried: list[Attempt]) -> None:
        """A journal can hold an error and give the same one back."""
        whole = to_exception(data).with_attempts(tuple(tried)).data

        assert whole == ErrorData.from_dict(json.loads(json.dumps(whole.to_dict())))

    def test_a_refusal_to_retry_is_not_lost(self) -> None:
        """False means something here: the provider said no."""
        data = ErrorData(ErrorKind.SERVER, "no", should_retry=False)

        assert ErrorData.from_dict(data.to_dict()).should_retry is False

    @pytest.mark.parametrize("kind", ErrorKind)
    def test_every_kind_has_its_own_exception(self, kind: ErrorKind) -> None:
        """No kind falls back to the base class, where nobody could catch it by name."""
        error = to_exception(ErrorData(kind, "x"))

        assert kind is error.kind
        assert type(error) is not errors.ProviderError

    @pytest.mark.parametrize(
        ("kind", "unavailable"),
        [
            (ErrorKind.RATE_LIMIT, True),
            (ErrorKind.TRANSPORT, True),
            (ErrorKind.CIRCUIT_OPEN, True),
            (ErrorKind.BUDGET, True),
            (ErrorKind.AUTH, True),
            (ErrorKind.INVALID_REQUEST, False),
            (ErrorKind.CONTEXT_WINDOW, False),
            (ErrorKind.CONTENT_FILTER, False),
            (ErrorKind.TOO_LARGE, False),
        ],
    )
    def test_an_outage_is_not_a_wrong_answer(self, kind: ErrorKind, unavailable: bool) -> None:
        """Only what the request itself caused counts against a program."""
        assert unavailable is to_exception(ErrorData(kind, "x")).unavailable

    def test_a_model_that_is_not_there_is_no_wrong_answer(self) -> None:
        """A typo in the settings must not be scored as a thousand failures of the program."""
        missing = ErrorData(ErrorKind.INVALID_REQUEST, "no such model", status=404)

        assert missing.unavailable


class TestProviderError:
    def test_the_message_names_place_facts_and_tries(self) -> None:
        """One line says who failed, how, and after how many tries."""
        data = ErrorData(
            ErrorKind.RATE_LIMIT,
            "slow down",
            provider="p",
            model="m",
            status=429,
            retry_after_s=2.0,
        )
        error = to_exception(data).with_attempts((Attempt("p", data), Attempt("p", data)))

        assert str(error) == "p/m: slow down (status 429, retry after s 2.0, attempts 2)"

    def test_pickling_keeps_type_and_data(self) -> None:
        """An error can cross to another process."""
        error = to_exception(ErrorData(ErrorKind.AUTH, "bad key", status=401))

        again = pickle.loads(pickle.dumps(error))

        assert (type(error), error.data) == (type(again), again.data)


class TestOthers:
    def test_a_config_error_shows_source_key_and_value(self) -> None:
        """The reader learns which file and which line to mend."""
        error = ConfigError("must be positive", source="dspex.toml", key="a.b", value=-1)

        assert str(error) == "dspex.toml: a.b = -1: must be positive"

    @pytest.mark.parametrize(
        "error",
        [
            ConfigError("is wrong", source="f.toml", key="a.b", value=5),
            ParseError("no", signature="q -> a", text="t", parsed={"b": 1}, missing=("a",)),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_crosses_to_another_process_whole(self, error: Exception) -> None:
        """A worker that fails tells why, and does not break the pool on the way back."""
        again = pickle.loads(pickle.dumps(error))

        assert (type(error), str(error), vars(error)) == (type(again), str(again), vars(again))

    def test_a_secret_value_is_left_out(self) -> None:
        """None stands for a value that may not be shown."""
        assert "None" not in str(ConfigError("is wrong", source="environment", key="api_key"))

    def test_a_parse_error_cuts_a_huge_text_but_keeps_it(self) -> None:
        """The message stays readable; the whole text is in `text`."""
        error = ParseError("no", signature="q -> a", text="x" * 10_000, missing=("a",))

        assert len(str(error)) < 1_000
        assert len(error.text) == 10_000

    def test_the_drawn_tree_names_every_class(self) -> None:
        """The picture at the top of the module is the module."""
        drawn = errors.__doc__ or ""

        missing = [
            name
            for name in errors.__all__
            if isinstance(found := getattr(errors, name), type)
            and issubclass(found, Exception)
            and name not in drawn
        ]
        assert missing == []
