"""The names, arguments and results that users write against, as they write them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Literal

import pytest

import dspex
from dspex.sandbox import SandboxServer
from dspex.testing import ScriptedModel


class Triage(dspex.Signature):
    """Route the ticket to the team that owns it."""

    ticket: str = dspex.InputField(desc="what the customer wrote")
    team: Literal["billing", "network", "hardware"] = dspex.OutputField()


qa = dspex.ChainOfThought("question, context: list[str] -> answer")
triage = dspex.Predict(Triage)

TICKETS = {
    "My router is dead": "hardware",
    "The router has no lights and smells burnt": "hardware",
    "The screen of my laptop is broken": "hardware",
    "I was charged twice": "billing",
    "Please send the invoice for my last payment": "billing",
    "The refund for my payment is missing": "billing",
    "The wifi drops every evening": "network",
    "The connection is slow and pages time out": "network",
    "I get no signal and the connection drops": "network",
}
trainset = [
    dspex.Example(ticket=ticket, team=team).with_inputs("ticket")
    for ticket, team in TICKETS.items()
]
devset = trainset


@pytest.fixture
async def model(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Put a model into the environment, as a user does."""
    async with SandboxServer.start() as server:
        monkeypatch.setenv("DSPEX_DEFAULT", f"openai/{server.model}")
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("model")
class TestARuntimeFromTheEnvironment:
    async def test_predict_evaluate_optimize_compare_save(self, tmp_path: Path) -> None:
        """One program from its first call to its file, in the words of the documentation."""
        async with dspex.Runtime.from_env() as runtime:
            prediction = await triage(ticket="My router is dead")
            assert prediction.team in ("billing", "network", "hardware")
            client = runtime.client("openai/sandbox/nearest-demo")
            strong = triage.with_client(client)
            assert (await strong(ticket="My router is dead")).team == prediction.team

            report = await dspex.evaluate(
                triage, devset, metric=dspex.exact_match("team"), max_concurrency=10_000
            )
            assert 0.0 <= report.score <= 1.0
            assert report.ci95 is not None
            assert report.ci95[0] <= report.score <= report.ci95[1]
            assert report.stderr is None or report.stderr >= 0.0
            assert len(TICKETS) == report.counts.scored == report.counts.total
            assert {} == dict(report.errors)
            assert report.usage.calls >= len(TICKETS)
            assert report.cost_usd is None
            assert list(range(len(TICKETS))) == [outcome.index for outcome in report.outcomes]

            optimizer = dspex.BootstrapFewShot(
                metric=dspex.exact_match("team"), max_bootstrapped_demos=8
            )
            better = await optimizer.compile(triage, trainset=trainset)
            assert better.provenance is not None
            assert better.provenance.calls > 0
            after = await dspex.evaluate(better, devset, metric=dspex.exact_match("team"))
            assert "difference" in str(dspex.compare(report, after))

            path = tmp_path / "triage.json"
            await better.save(path)
            again = await dspex.load(path)
            assert better.digest() == again.digest()
            assert (await again(ticket="I was charged twice")).team == "billing"


class Pipeline(dspex.Program):
    """Two steps, composed with plain attributes and plain async code."""

    def __init__(self) -> None:
        self.draft = dspex.ChainOfThought("question -> draft")
        self.polish = dspex.Predict("question, draft -> answer")

    async def forward(self, question: str) -> dspex.Prediction:
        draft = await self.draft(question=question)
        return await self.polish(question=question, draft=draft.draft)


class TestPrograms:
    async def test_composition_is_plain_code(self) -> None:
        """Attributes are the parts, and their names the paths."""
        model = ScriptedModel([{"reasoning": "r", "draft": "d"}, {"answer": "a"}])

        prediction = await Pipeline().with_client(model)(question="q")

        assert prediction.answer == "a"
        assert ["draft", "polish"] == list(Pipeline().named_predictors())
        assert ["self"] == list(triage.named_predictors())
        assert prediction.usage.calls == 2

    def test_a_predictors_parts_are_its_attributes(self) -> None:
        """A signature class stands for its instance."""
        assert isinstance(triage.signature, dspex.Signature)
        assert () == triage.demos
        shown = triage.with_demos([trainset[0]])
        assert [trainset[0]["ticket"]] == [demo["ticket"] for demo in shown.demos]
        assert () == triage.demos

    def test_the_adapter_needs_no_runtime(self) -> None:
        """Formatting and parsing are pure."""
        adapter = dspex.ChatAdapter()

        messages = adapter.format(
            qa.signature, demos=[], inputs={"question": "..", "context": [".."]}
        )
        fields = adapter.parse(qa.signature, "[[ ## reasoning ## ]]\n..\n[[ ## answer ## ]]\n42")

        assert ["system", "user"] == [message.role for message in messages]
        assert {"reasoning": "..", "answer": "42"} == fields

    def test_a_runtime_configured_in_code_reads_nothing_else(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The same settings as values; `cache=None` switches the cache off."""
        monkeypatch.setenv("DSPEX_DEFAULT", "elsewhere/m")
        runtime = dspex.Runtime(
            default="openai/some-model",
            providers={
                "openai": dspex.ProviderSettings(
                    base_url="http://127.0.0.1:8000/v1",
                    api_key="...",
                    requests_per_minute=3_000,
                    tokens_per_minute=1_000_000,
                    max_connections=10_000,
                ),
                "local": dspex.ProviderSettings(
                    wire="openai-chat", compat="vllm", base_url="http://127.0.0.1:8001/v1"
                ),
            },
            cache=None,
        )

        assert ("openai/some-model", None) == (runtime.settings.default, runtime.settings.cache)

    def test_every_name_of_the_package_can_be_used(self) -> None:
        """The lazy table and `__all__` agree, and every name loads."""
        assert set(dspex.__all__) <= set(dir(dspex))
        for name in dspex.__all__:
            assert getattr(dspex, name) is not None

        with pytest.raises(AttributeError, match="'dspex' has no attribute 'nonsense'"):
            getattr(dspex, "nonsense")  # noqa: B009 - a checker would refuse the attribute

    def test_usage_is_one_type_all_the_way_up(self) -> None:
        """A sum of nothing costs nothing."""
        assert dspex.Usage().cost_usd == Decimal(0)
