"""Both batch interfaces as pure functions: what goes up, and what every answer means."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from dspex.clients.batch.anthropic import AnthropicBatches
from dspex.clients.batch.dialect import Dialect, dialect_for
from dspex.clients.batch.line import BatchLine, BatchStatus, ended_without, line_id
from dspex.clients.batch.openai import OpenAIBatches
from dspex.errors import ErrorData, ErrorKind, ProtocolError, UnsupportedFeature

LINES = [BatchLine(f"id-{n}", "m", "/chat/completions", b'{"n": %d}' % n) for n in range(2)]
DIALECTS = pytest.mark.parametrize("dialect", [OpenAIBatches(), AnthropicBatches()])


def failed(outcome: bytes | ErrorData) -> ErrorData:
    assert isinstance(outcome, ErrorData)
    return outcome


def dumped(**fields: Any) -> bytes:
    return orjson.dumps(fields)


class TestOpenAI:
    dialect = OpenAIBatches()

    def test_the_file_has_a_line_for_each_request(self) -> None:
        """With the body as the wire has written it."""
        outgoing = self.dialect.upload(LINES)
        lines = [line for line in outgoing.body.split(b"\n") if line.startswith(b'{"custom_id"')]

        assert "/files" == outgoing.path
        assert outgoing.content_type.startswith("multipart/form-data; boundary=")
        assert {
            "custom_id": "id-1",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"n": 1},
        } == orjson.loads(lines[1])

    def test_the_batch_names_its_file_and_carries_our_name(self) -> None:
        """So that it can be found if its id is lost."""
        outgoing = self.dialect.create(LINES, b'{"id": "file-1"}', "nonce-1")
        body = orjson.loads(outgoing.body)

        assert ("file-1", "/v1/chat/completions", "24h") == (
            body["input_file_id"],
            body["endpoint"],
            body["completion_window"],
        )
        listed = dumped(data=[{"id": "b0", "metadata": None}, {**body, "id": "b1"}])
        assert "b1" == self.dialect.found(listed, "nonce-1")
        assert self.dialect.found(listed, "nonce-2") is None

    @pytest.mark.parametrize(
        "state", ["validating", "in_progress", "finalizing", "cancelling", "new"]
    )
    def test_what_has_not_ended_runs(self, state: str) -> None:
        """A word that nobody knows is no end."""
        assert BatchStatus(ended=False) == self.dialect.status(dumped(status=state))

    @pytest.mark.parametrize("state", ["completed", "expired", "cancelled"])
    def test_what_has_ended_has_files(self, state: str) -> None:
        """One of answers, one of errors, or either alone."""
        status = self.dialect.status(dumped(status=state, output_file_id="f1", error_file_id="f2"))

        assert (True, state) == (status.ended, status.code)
        assert ("/files/f1/content", "/files/f2/content") == status.results
        assert () == self.dialect.status(dumped(status=state, output_file_id=None)).results

    def test_a_batch_that_failed_says_why(self) -> None:
        """The first of its errors is told to every call."""
        errors = {"data": [{"message": "line 3 is wrong"}, {"message": "line 4 too"}]}
        status = self.dialect.status(dumped(status="failed", errors=errors))

        error = ended_without(status, provider="p")
        assert ("failed", ErrorKind.BATCH) == (error.code, error.kind)
        assert "line 3 is wrong" in error.message

    @pytest.mark.parametrize(
        ("item", "kind", "code"),
        [
            ({"error": {"code": "batch_expired", "message": "late"}}, ErrorKind.BATCH, "expired"),
            ({"error": {"code": "batch_cancelled"}}, ErrorKind.BATCH, "cancelled"),
            ({"error": {"code": "other"}}, ErrorKind.BATCH, "other"),
            ({}, ErrorKind.BATCH, "failed"),
            (
                {
                    "response": {
                        "status_code": 429,
                        "body": {"error": {"code": "insufficient_quota"}},
                    }
                },
                ErrorKind.QUOTA_EXHAUSTED,
                "insufficient_quota",
            ),
            ({"response": {"status_code": 500, "body": {}}}, ErrorKind.SERVER, None),
        ],
    )
    def test_a_line_fails_as_a_call_does(
        self, item: dict[str, Any], kind: ErrorKind, code: str | None
    ) -> None:
        """Classified by the same table."""
        result = self.dialect.result(dumped(custom_id="id-0", **item), "p")
        error = failed(result.outcome)

        assert ("id-0", kind, code) == (result.id, error.kind, error.code)

    def test_a_good_line_is_the_body(self) -> None:
        """Which the wire then reads."""
        line = dumped(custom_id="id-0", response={"status_code": 200, "body": {"a": 1}}, error=None)

        assert b'{"a":1}' == self.dialect.result(line, "p").outcome


class TestAnthropic:
    dialect = AnthropicBatches()

    def test_requests_go_up_in_one_body(self) -> None:
        """Nothing before."""
        dialect: Dialect = self.dialect
        assert dialect.upload(LINES) is None
        outgoing = self.dialect.create(LINES, b"", "nonce")

        assert "/messages/batches" == outgoing.path
        assert {"custom_id": "id-0", "params": {"n": 0}} == orjson.loads(outgoing.body)["requests"][
            0
        ]

    @pytest.mark.parametrize(("state", "ended"), [("in_progress", False), ("ended", True)])
    def test_results_are_there_at_the_end(self, state: str, *, ended: bool) -> None:
        """Under the batch's own path."""
        status = self.dialect.status(dumped(id="b1", processing_status=state))

        assert ended == status.ended
        assert (("/messages/batches/b1/results",) if ended else ()) == status.results

    @pytest.mark.parametrize(
        ("result", "kind", "code"),
        [
            ({"type": "expired"}, ErrorKind.BATCH, "expired"),
            ({"type": "canceled"}, ErrorKind.BATCH, "cancelled"),
            (
                {"type": "errored", "error": {"error": {"type": "overloaded_error"}}},
                ErrorKind.SERVER,
                "overloaded_error",
            ),
            (
                {"type": "errored", "error": {"type": "invalid_request_error"}},
                ErrorKind.INVALID_REQUEST,
                "invalid_request_error",
            ),
            ({"type": "errored"}, ErrorKind.SERVER, None),
        ],
    )
    def test_a_line_fails_as_a_call_does(
        self, result: dict[str, Any], kind: ErrorKind, code: str | None
    ) -> None:
        """By the status that its error has outside of batches."""
        error = failed(self.dialect.result(dumped(custom_id="i", result=result), "p").outcome)

        assert (kind, code) == (error.kind, error.code)

    def test_an_unknown_result_is_no_answer(self) -> None:
        """Better none than a wrong one."""
        with pytest.raises(ProtocolError, match="'postponed'"):
            self.dialect.result(dumped(custom_id="i", result={"type": "postponed"}), "p")


@DIALECTS
@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"{}", b'{"id": 7}'])
def test_what_is_no_answer_is_an_error(dialect: Dialect, body: bytes) -> None:
    """It shows what it saw, and never becomes an id."""
    with pytest.raises(ProtocolError):
        dialect.created(body)

    with pytest.raises(ProtocolError):
        dialect.result(body, "p")


@DIALECTS
def test_paths_are_of_the_batch(dialect: Dialect) -> None:
    """Where to ask after it, and where to end it."""
    assert f"{dialect.status_path('b1')}/cancel" == dialect.cancel_path("b1")


def test_each_wire_has_its_own() -> None:
    """And some have none."""
    assert OpenAIBatches() == dialect_for("openai-responses", "p")
    assert AnthropicBatches() == dialect_for("anthropic-messages", "p")
    with pytest.raises(UnsupportedFeature, match="cohere"):
        dialect_for("cohere", "p")


def test_ids_are_ones_that_both_take() -> None:
    """Letters, digits and dashes, 64 of them at most."""
    name = line_id("f" * 64, 1_000_000)

    assert len(name) <= 64
    assert name.replace("-", "").isalnum()
