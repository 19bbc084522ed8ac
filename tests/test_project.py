"""The shape of the project: what lies where, and what its text may not contain."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project import PACKAGES, ROOT, folders, module_name, modules, parse, texts

TOP = {
    ".ci",
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "benchmarks",
    "dspex",
    "examples",
    "pyproject.toml",
    "requirements-dev.lock",
    "requirements.lock",
    "supervision",
    "tests",
}
# What tools and runs leave behind; version control does not see it.
LEFT_BEHIND = re.compile(r"\.git|\.venv.*|.*_cache|\.hypothesis|\.coverage.*|\.env|build|dist")

TARGETS = ["help", "install", "demo", "test", "check", "bench", "bench-peers", "chaos", "clean"]

# Written in pieces, so that this file does not find itself.
PERSONAL_PATH = re.compile(
    r"(?<![\w.:/])/(?:" + "|".join(("home", "root", "tmp", "work", "Users")) + ")/"
)
REGISTRY = re.compile("py" + r"pi\.|python" + "hosted", re.IGNORECASE)


def find(pattern: re.Pattern[str]) -> list[str]:
    """List the places in the project's text where a pattern occurs."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in texts()
        for number, line in enumerate(
            path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1
        )
        if pattern.search(line)
    ]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function and method of a module, nested ones included."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return (node for node in ast.walk(parse(path)) if isinstance(node, kinds))


def calls(path: Path, name: str) -> list[int]:
    """List the lines of a module that call a name, dotted or bare."""
    return [
        node.lineno
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == name
    ]


class TestTree:
    def test_top_level_holds_what_it_should(self) -> None:
        """Nothing lies about at the top of the project."""
        present = {p.name for p in ROOT.iterdir() if not LEFT_BEHIND.fullmatch(p.name)}
        assert {"pyproject.toml", "Makefile", "LICENSE"} <= present
        assert present - TOP == set()

    @pytest.mark.parametrize("package", PACKAGES)
    def test_packages_are_typed(self, package: str) -> None:
        """Type checkers of users read our annotations."""
        assert (ROOT / package / "py.typed").exists()

    @pytest.mark.parametrize("folder", folders(), ids=lambda path: str(path.relative_to(ROOT)))
    def test_package_explains_itself(self, folder: Path) -> None:
        """Each package has a docstring, and it is shorter than a page."""
        doc = ast.get_docstring(parse(folder / "__init__.py")) or ""
        assert 2 <= len(doc.splitlines()) < 40

    @pytest.mark.parametrize("path", [p for p in modules() if p.read_text()], ids=module_name)
    def test_module_explains_itself(self, path: Path) -> None:
        """Each module says in a line what it is, and postpones its annotations."""
        tree = parse(path)
        assert ast.get_docstring(tree)
        assert "from __future__ import annotations" in [ast.unparse(node) for node in tree.body]


class TestText:
    def test_text_is_walked(self) -> None:
        """The tests below look at code, documents and build files alike."""
        names = {path.name for path in texts()}
        assert {"Makefile", "CHANGELOG.md", "pyproject.toml", "test_project.py", "run"} <= names

    def test_no_path_of_one_machine(self) -> None:
        """Nothing in the text holds on one machine only."""
        assert find(PERSONAL_PATH) == []

    def test_no_registry_is_named(self) -> None:
        """Where packages come from is the business of whoever installs."""
        assert find(REGISTRY) == []


class TestCode:
    @pytest.mark.parametrize("path", modules(), ids=module_name)
    def test_library_does_not_print(self, path: Path) -> None:
        """Output belongs to commands: the library tells what it has to tell by events."""
        is_command = path.name == "__main__.py" or "cli" in path.relative_to(ROOT).parts
        assert is_command or calls(path, "print") == []

    @pytest.mark.parametrize("path", modules("tests"), ids=module_name)
    def test_tests_do_not_sleep(self, path: Path) -> None:
        """No test stops its thread; time is virtual, or a thread waits for an event."""
        assert calls(path, "time.sleep") == []

    @pytest.mark.parametrize(
        "path", [p for p in modules("tests") if p.name.startswith("test_")], ids=module_name
    )
    def test_tests_say_what_they_test(self, path: Path) -> None:
        """Each test has a docstring that names a behaviour."""
        tests = [f for f in functions(path) if f.name.startswith("test")]
        assert tests, "no test was found"
        assert [f"{f.name}:{f.lineno}" for f in tests if not ast.get_docstring(f)] == []


class TestMakefile:
    def run(self, *arguments: str) -> str:
        """Run make in the project and return what it says."""
        done = subprocess.run(
            ["make", "--directory", ROOT, "--no-print-directory", *arguments],
            # Not the variables of a make that runs this suite.
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
        return done.stdout

    def test_help_comes_first_and_lists_all(self) -> None:
        """A bare `make` lists every target with what it does."""
        help_ = self.run()
        listed = re.findall(r"^  make (\S+) +\S", help_, re.MULTILINE)
        assert listed[0] == "help"
        assert set(TARGETS) <= set(listed)
        assert help_ == self.run("help")

    def plan(self, target: str, environment: Path, *stamps: str) -> str:
        """Say what make would do for a target with some steps of the set-up done before."""
        for stamp in stamps:
            (environment / stamp).touch()

        return self.run("--dry-run", target, f"VENV={environment}")

    def test_demo_needs_the_runtime_lock_only(self, tmp_path: Path) -> None:
        """The demo on a fresh machine installs nothing that only tests need."""
        plan = self.plan("demo", tmp_path)
        assert "requirements.lock" in plan
        assert "requirements-dev.lock" not in plan

    def test_fresh_machine_gets_an_environment(self, tmp_path: Path) -> None:
        """Without any stamp the environment is made anew, whatever an interrupted try left."""
        plan = self.plan("test", tmp_path)
        assert "-m venv --clear" in plan
        assert "--require-hashes" in plan

    def test_interrupted_installation_is_taken_up(self, tmp_path: Path) -> None:
        """With the environment made and nothing installed, only the installation runs."""
        plan = self.plan("test", tmp_path, ".created")
        assert "-m venv" not in plan
        assert "--require-hashes" in plan

    def test_second_call_does_nothing_but_the_job(self, tmp_path: Path) -> None:
        """With all stamps in place a target starts with its own work."""
        plan = self.plan("test", tmp_path, ".created", ".installed-dev")
        assert plan.splitlines() == [f"{tmp_path}/bin/python -m pytest -n 2 "]

    def test_ci_runs_check_and_test(self) -> None:
        """What CI runs is what a developer runs, and nothing else."""
        script = (ROOT / ".ci" / "run").read_text()
        assert re.findall(r"^make (\S+)$", script, re.MULTILINE) == ["check", "test"]
