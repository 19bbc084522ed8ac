"""The demo's dataset: balanced, without leaks, the same each time."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter, defaultdict

import pytest

from examples import stdlib_docs
from examples.stdlib_docs import AREAS, Record, collect, load
from tests.support.project import ROOT


def said(record: Record) -> str:
    """Return a text without the name before it, in one form for comparison."""
    name, colon, rest = record.text.partition(": ")
    return (rest if colon and " " not in name else record.text).casefold()


class TestCollect:
    def test_texts_are_unique_and_of_one_area(self) -> None:
        """No documentation occurs twice, in one area or in two."""
        counts = Counter(said(record) for record in collect())
        assert counts.most_common(1)[0][1] == 1

    def test_texts_are_prose(self) -> None:
        """Every text has a length that a prompt can carry, on one line, and no session."""
        for record in collect():
            assert 20 <= len(record.text) <= 500
            assert record.text == " ".join(record.text.split())
            assert ">>>" not in record.text
            assert record.area in AREAS

    def test_known_entries(self) -> None:
        """Entries whose area is beyond doubt are where they belong."""
        areas = {record.text.split(":")[0]: record.area for record in collect()}
        assert areas["Thread.join"] == "concurrency"
        assert areas["SMTP.sendmail"] == "networking"
        assert areas["Decimal.sqrt"] == "numbers and data types"
        assert areas["TarFile.extractall"] == "files and storage"
        assert areas["SequenceMatcher.ratio"] == "text and formats"
        assert areas["TestCase.assertEqual"] == "developer tools"

    def test_class_family_is_one_group(self) -> None:
        """A class and what inherits from it share a group."""
        groups = defaultdict(set)
        for record in collect():
            groups[record.text.split(":")[0].split(".")[0]].add(record.group)

        assert groups["BufferedReader"] == groups["StringIO"] != set()
        assert groups["TestCase"] == groups["IsolatedAsyncioTestCase"] != set()


class TestLoad:
    def test_balanced(self) -> None:
        """Three thousand texts at least, as many of each area on each side."""
        split = load()
        assert len(split.train) + len(split.held_out) >= 3000
        for side in (split.train, split.held_out):
            assert len(set(Counter(record.area for record in side).values())) == 1
            assert {record.area for record in side} == set(AREAS)

    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_no_group_and_no_text_on_both_sides(self, seed: int) -> None:
        """Groups stay whole, whatever the shuffle."""
        split = load(seed=seed)
        for key in (lambda record: record.group, said):
            assert {key(r) for r in split.train}.isdisjoint(key(r) for r in split.held_out)

    def test_no_group_dominates(self) -> None:
        """No module and no class family gives more than a tenth of an area."""
        counts = Counter((record.area, record.group) for record in load().train)
        assert counts.most_common(1)[0][1] <= 50

    def test_seed_decides(self) -> None:
        """The same seed gives the same split, another seed another."""
        assert load(seed=3) == load(seed=3)
        assert load(seed=3) != load(seed=4)

    def test_share_and_size_are_parameters(self) -> None:
        """The held-out share and the number of texts can be chosen."""
        split = load(per_area=100, held_out_share=0.5)
        assert (len(split.train), len(split.held_out)) == (300, 300)

    def test_asking_for_too_many(self) -> None:
        """The error names the area and how many it has."""
        with pytest.raises(ValueError, match=r"area '.*' has \d+ texts, fewer than per_area=99999"):
            load(per_area=99999)

    @pytest.mark.slow
    def test_same_in_another_process(self) -> None:
        """Neither string hashing nor what was imported before changes the split."""
        program = (
            "import hashlib; from examples.stdlib_docs import load;"
            "print(hashlib.sha256(repr(load()).encode()).hexdigest())"
        )
        digests = {
            subprocess.run(
                [sys.executable, "-c", program],
                cwd=ROOT,
                env={"PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for seed in ("1", "2")
        }
        assert len(digests) == 1

    @pytest.mark.slow
    def test_without_documentation_strings(self) -> None:
        """Python that strips documentation is told so, and says what to do."""
        done = subprocess.run(
            [sys.executable, "-OO", "-c", "from examples.stdlib_docs import load; load()"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "run Python without it" in done.stderr

    @pytest.mark.slow
    def test_importing_everything_is_silent(self) -> None:
        """Deprecated or missing modules neither warn nor print, and no window opens."""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", "from examples.stdlib_docs import load; load()"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_it_needs_the_standard_library_alone(self) -> None:
        """Nothing of this project or of others is imported."""
        names = {name.split(".")[0] for name in vars(stdlib_docs) if not name.startswith("_")}
        assert "dspex" not in names
