"""The reader answers from the prompt alone, and what it gains there is real."""

from __future__ import annotations

import random
from dataclasses import replace

import orjson
import pytest
from hypothesis import given, strategies as st

from dspex.sandbox import DISCLAIMER, MODEL_ID, SandboxModel
from dspex.sandbox.associations import associate
from dspex.sandbox.explain import strongest
from dspex.sandbox.grammar import write_rules
from dspex.sandbox.noise import Noise
from tests.dspex.sandbox.chat import Pair, classify, section
from tests.dspex.sandbox.topics import LABELS, accuracy, split

TEAMS = ("billing", "network", "hardware")
DEMOS = (
    ("my invoice is wrong", "billing"),
    ("the router drops packets", "network"),
    ("the screen is broken", "hardware"),
    ("payment was refused", "billing"),
)


def topic(answer: str) -> str:
    """Return the value of the output `topic` in an answer."""
    return answer.split("[[ ## topic ## ]]\n")[1].split("\n")[0]


def ask(text: str, demos: tuple[Pair, ...] = (), instructions: str = "Name the topic.") -> str:
    messages = classify(TEAMS, text, demos, instructions=instructions)
    return topic(SandboxModel().complete(messages).text)


def test_it_says_what_it_is() -> None:
    """Reports can name the model and disclaim it in fixed words."""
    assert MODEL_ID == "sandbox/nearest-demo"
    assert DISCLAIMER == "stand-in classifier, not a language model"


class TestControls:
    """Does the model gain where there is something to gain, and only there?"""

    @pytest.mark.slow
    def test_demonstrations_raise_the_score(self) -> None:
        """The more demonstrations, the better: none, then 24, then 160."""
        train, judged = split(seed=5)
        model = SandboxModel()
        scores = [accuracy(model, judged, train[:count]) for count in (0, 24, 160)]
        assert scores[0] + 0.08 < scores[1]
        assert scores[1] + 0.08 < scores[2]

    @pytest.mark.slow
    def test_random_labels_give_no_gain(self) -> None:
        """Demonstrations whose labels were drawn by lot do not beat no demonstrations."""
        train, judged = split(seed=5)
        model = SandboxModel()
        source = random.Random(0)
        drawn = [(text, source.choice(LABELS)) for text, _ in train]
        assert accuracy(model, judged, drawn) <= accuracy(model, judged) + 0.02

    @pytest.mark.slow
    def test_right_rules_raise_and_wrong_rules_lower_it(self) -> None:
        """Rules in the instructions count for what they say, true or not."""
        gained, lost = 0.0, 0.0
        for seed in range(3):
            train, judged = split(seed)
            right = strongest(associate(train, "text", "topic"), Noise(0.0, None))
            following = dict(zip(LABELS, LABELS[1:] + LABELS[:1], strict=True))
            wrong = [replace(rule, label=following[rule.label]) for rule in right]
            plain = accuracy(SandboxModel(), judged)
            gained += accuracy(SandboxModel(), judged, (), write_rules(right)) - plain
            lost += plain - accuracy(SandboxModel(), judged, (), write_rules(wrong))

        assert gained / 3 > 0.05
        assert lost / 3 > 0.05

    def test_words_of_the_labels_beat_chance(self) -> None:
        """Without any demonstration the labels' own words are all there is to go by."""
        assert accuracy(SandboxModel(), split(seed=5)[1]) > 2 / len(LABELS)


class TestClassification:
    def test_nearest_demonstration_wins(self) -> None:
        """A text like one demonstration gets that one's label, word forms aside."""
        assert ask("two routers dropped every packet", DEMOS) == "network"

    def test_rule_is_followed(self) -> None:
        """A rule in the instructions decides where nothing else speaks."""
        rule = 'If the text mentions "xyzzy", the topic is "hardware".'
        assert ask("xyzzy at once", instructions=rule) == "hardware"
        assert ask("plugh at once", instructions=rule) == "billing"

    def test_rule_about_another_output_is_passed_over(self) -> None:
        """Only rules that name the output count."""
        rule = 'If the text mentions "xyzzy", the colour is "hardware".'
        assert ask("xyzzy at once", instructions=rule) == "billing"

    def test_phrase_is_found_as_whole_words(self) -> None:
        """A rule about "port" does not fire on "support"."""
        rule = 'If the text mentions "port", the topic is "hardware".'
        assert ask("ask for support", instructions=rule) == "billing"

    def test_unknown_labels_in_demonstrations_do_not_vote(self) -> None:
        """A demonstration with a value that is not allowed is left out."""
        demos = (("the router drops packets", "gardening"), *DEMOS[:1])
        assert ask("the router drops packets", demos) in TEAMS

    def test_many_of_one_label_do_not_drown_the_others(self) -> None:
        """How often a label is shown does not count, only how like the question it is."""
        crowd = tuple((f"payment number {n} was refused", "billing") for n in range(30))
        assert ask("the router is slow", (*crowd, DEMOS[1])) == "network"

    def test_ties_go_to_the_first_label(self) -> None:
        """With nothing to go by, the answer is the first value listed."""
        assert ask("qqq") == TEAMS[0]


class TestFreeText:
    def test_nearest_demonstration_is_repeated(self) -> None:
        """Free text comes from the demonstration most like the question."""
        messages = [
            {"role": "user", "content": section("question", "capital of France")},
            {"role": "assistant", "content": section("answer", "Paris")},
            {"role": "user", "content": section("question", "boiling point of water")},
            {"role": "assistant", "content": section("answer", "100 degrees")},
            {
                "role": "user",
                "content": section("question", "which is the capital of France?")
                + "\n\nAnswer with `[[ ## answer ## ]]` and `[[ ## completed ## ]]`.",
            },
        ]
        assert SandboxModel().complete(messages).text == (
            "[[ ## answer ## ]]\nParis\n\n[[ ## completed ## ]]"
        )

    def test_reason_states_what_the_demonstrations_show(self) -> None:
        """A reason beside a label names words of the question that go with it."""
        messages = classify(TEAMS, "an invoice came", DEMOS, reasoned=True)
        answer = SandboxModel().complete(messages).text
        assert 'If the text mentions "invoice", the topic is "billing".' in answer
        assert answer.index("## reasoning") < answer.index("## topic")

    def test_reason_names_the_rule_that_fired(self) -> None:
        """A rule that decided is stated as the reason."""
        rule = 'If the text mentions "xyzzy", the topic is "hardware".'
        messages = classify(TEAMS, "xyzzy", instructions=rule, reasoned=True)
        assert rule in SandboxModel().complete(messages).text

    def test_proposal_states_associations_that_the_reader_follows(self) -> None:
        """What it proposes from records shown in a prompt works as its own instructions."""
        shown = "\n\n".join(f"Text: {text}\nTopic: {label}" for text, label in DEMOS)
        content = section("data", shown) + "\n\nAnswer with `[[ ## proposal ## ]]`."
        proposed = SandboxModel().complete([{"role": "user", "content": content}]).text
        assert 'the topic is "network"' in proposed
        assert ask("packets!", instructions=proposed) == "network"

    def test_plain_chat_gets_plain_text(self) -> None:
        """A prompt without any layout is answered without one."""
        answer = SandboxModel().complete([{"role": "user", "content": "Hello"}]).text
        assert answer
        assert "[[" not in answer


class TestTypes:
    def prompt(self, kind: str, demos: list[dict[str, str]] | None = None) -> list[dict[str, str]]:
        content = f"{section('text', 'x')}\n\nAnswer with `[[ ## it ## ]]` (a valid {kind})."
        return [*(demos or []), {"role": "user", "content": content}]

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("int", "0"),
            ("float", "0.0"),
            ("bool", "true"),
            ("list[str]", "[]"),
            ("list[Literal['a', 'b']]", "[]"),
            ("dict[str, int]", "{}"),
            ("Literal['b c', 'd']", "b c"),
            ("Literal[3, 4]", "3"),
            ("Literal['a]', 'b']", "a]"),
        ],
    )
    def test_value_fits_the_type(self, kind: str, expected: str) -> None:
        """Without demonstrations the value is at least one that the type can hold."""
        answer = SandboxModel().complete(self.prompt(kind)).text
        assert answer == f"[[ ## it ## ]]\n{expected}\n\n[[ ## completed ## ]]"

    def test_number_comes_from_the_nearest_demonstration(self) -> None:
        """A typed value without a closed list is taken like free text."""
        demos = [
            {"role": "user", "content": section("text", "x")},
            {"role": "assistant", "content": section("it", "17")},
        ]
        assert "\n17\n" in SandboxModel().complete(self.prompt("int", demos)).text


class TestJson:
    def test_prompt_that_asks_for_json_gets_json(self) -> None:
        """Outputs named in back ticks beside the word JSON come back as an object."""
        reminder = "Respond with a JSON object with `team` (one of: a; b) and `sure` (bool)."
        content = f"{section('text', 'b')}\n\n{reminder}"
        answer = SandboxModel().complete([{"role": "user", "content": content}]).text
        assert orjson.loads(answer) == {"team": "b", "sure": True}

    def test_json_demonstrations_are_read(self) -> None:
        """A demonstration may answer with a JSON object as well."""
        reminder = "Respond with a JSON object: `team` (one of: a; b), `n` (int)."
        messages = [
            {"role": "user", "content": section("text", "green apples")},
            {"role": "assistant", "content": '{"team": "b", "n": 4}'},
            {"role": "user", "content": f"{section('text', 'green pears')}\n\n{reminder}"},
        ]
        assert orjson.loads(SandboxModel().complete(messages).text) == {"team": "b", "n": 4}

    def test_schema_names_the_members(self) -> None:
        """A JSON schema alone decides the members, references to definitions included."""
        schema = {
            "properties": {
                "team": {"$ref": "#/$defs/Team"},
                "score": {"type": "number"},
                "names": {"type": "array"},
                "sure": {"type": "boolean"},
            },
            "$defs": {"Team": {"enum": ["b", "c"]}},
        }
        content = section("text", "c c c")
        answer = SandboxModel().complete([{"role": "user", "content": content}], schema=schema)
        expected = {"team": "c", "score": 0.0, "names": [], "sure": True}
        assert orjson.loads(answer.text) == expected


class TestNoise:
    def asked(self, model: SandboxModel, **options: float) -> str:
        messages = classify(TEAMS, "broken invoice of the network", DEMOS)
        temperature = options.get("temperature", 1.0)
        seed, sample = int(options.get("seed", 0)), int(options.get("sample", 0))
        return model.complete(messages, temperature=temperature, seed=seed, sample=sample).text

    def test_temperature_zero_ignores_seed_and_sample(self) -> None:
        """Without temperature there is one answer."""
        model = SandboxModel()
        answers = {
            self.asked(model, temperature=0.0, seed=seed, sample=sample)
            for seed in range(5)
            for sample in range(5)
        }
        assert len(answers) == 1

    @given(seed=st.integers(0, 50), sample=st.integers(0, 50))
    def test_same_seed_agrees(self, seed: int, sample: int) -> None:
        """Two models give the same answer to the same seed and sample."""
        one = self.asked(SandboxModel(), seed=seed, sample=sample)
        assert one == self.asked(SandboxModel(), seed=seed, sample=sample)

    @pytest.mark.parametrize("option", ["seed", "sample"])
    def test_others_differ(self, option: str) -> None:
        """Over many seeds, and over many samples, more than one answer comes up."""
        model = SandboxModel()
        answers = {self.asked(model, temperature=2.0, **{option: n}) for n in range(40)}
        assert len(answers) > 1

    def test_warmer_is_noisier(self) -> None:
        """Clear answers survive little temperature; more of them fall at more."""
        model = SandboxModel()
        plain = self.asked(model, temperature=0.0)

        def kept(temperature: float) -> int:
            answers = [self.asked(model, temperature=temperature, seed=n) for n in range(60)]
            return answers.count(plain)

        assert kept(0.05) > kept(2.0)


class TestMemory:
    def test_prefix_is_read_once(self) -> None:
        """Questions behind one prefix share its reader."""
        model = SandboxModel()
        for number in range(50):
            model.complete(classify(TEAMS, f"question {number}", DEMOS))

        assert model.remembered == 1

    def test_memory_is_bounded_by_count(self) -> None:
        """The least recently used prefix is forgotten first."""
        model = SandboxModel(max_prefixes=3)
        for number in range(10):
            model.complete(classify(TEAMS, "x", instructions=f"Instruction {number}."))

        assert model.remembered == 3

    def test_memory_is_bounded_by_size(self) -> None:
        """Large prefixes push out others; one larger than the bound is still answered."""
        model = SandboxModel(max_prefix_chars=2_000)
        for number in range(5):
            demos = [(f"{number} {'word ' * 300}", "billing")]
            assert model.complete(classify(TEAMS, "x", demos)).text

        assert model.remembered == 1

    def test_answers_do_not_depend_on_what_was_asked_before(self) -> None:
        """A used model answers like a new one."""
        used = SandboxModel(max_prefixes=2)
        for demos in (DEMOS, DEMOS[:2], (), DEMOS[1:]):
            for text in ("invoice", "router", "screen"):
                messages = classify(TEAMS, text, demos, reasoned=True)
                assert used.complete(messages) == SandboxModel().complete(messages)


class TestRobustness:
    @given(
        st.lists(
            st.fixed_dictionaries(
                {
                    "role": st.sampled_from(["system", "user", "assistant", "tool"]),
                    "content": st.one_of(
                        st.text(max_size=60),
                        st.lists(
                            st.sampled_from(
                                [
                                    "[[ ## a ## ]]",
                                    "[[ ## completed ## ]]",
                                    "\n",
                                    "\n\n",
                                    "`a` (Literal['x', 'y'])",
                                    "`a` one of: x; y",
                                    'enum": [1, 2]',
                                    "JSON",
                                    "Text: x\nArea: y",
                                    '{"a": 1}',
                                    'schema: {"type": "array"}',
                                ]
                            ),
                            max_size=8,
                        ).map("".join),
                    ),
                }
            ),
            min_size=1,
            max_size=6,
        )
    )
    def test_any_conversation_gets_an_answer(self, messages: list[dict[str, str]]) -> None:
        """No text makes the model fail."""
        answer = SandboxModel().complete(messages, temperature=0.7, seed=1)
        assert answer.text
        assert answer.completion_tokens > 0

    def test_no_messages_at_all(self) -> None:
        """An empty conversation is answered too."""
        assert SandboxModel().complete([]).text

    def test_repair_round_answers_the_question_before(self) -> None:
        """A last turn that complains about an answer does not make that answer a demonstration."""
        messages = classify(TEAMS, "the router drops packets", DEMOS)
        first = SandboxModel().complete(messages).text
        complaint = "That could not be read.\n\nAnswer with `[[ ## topic ## ]]` again."
        repaired = [
            *messages,
            {"role": "assistant", "content": section("topic", "hardware")},
            {"role": "user", "content": complaint},
        ]
        assert SandboxModel().complete(repaired).text == first

    def test_tokens_are_counted_at_four_characters(self) -> None:
        """Both counts follow from the lengths of the texts, rounded up."""
        messages = classify(TEAMS, "router", DEMOS)
        answer = SandboxModel().complete(messages)
        chars = sum(len(message["content"]) for message in messages)
        assert answer.prompt_tokens == -(-chars // 4)
        assert answer.completion_tokens == -(-len(answer.text) // 4)
