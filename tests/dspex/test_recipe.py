"""Recipes: values rebuilt by import path and JSON arguments, and what is refused."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic
import pytest

from dspex.errors import LoadError
from dspex.recipe import (
    Recipe,
    SupportsRecipe,
    build,
    decode_argument,
    encode_argument,
    import_path,
    recipe_of,
    resolve,
)


class Colour(enum.Enum):
    RED = "red"


@dataclass(frozen=True)
class Metric:
    field: str
    weights: tuple[float, ...] = ()
    colour: Colour | None = None


class Model(pydantic.BaseModel):
    size: int


class Custom:
    def __init__(self, first: Any, /, *rest: Any, flag: bool = False, **more: Any) -> None:
        self.got = (first, rest, flag, more)

    def recipe(self) -> Recipe:
        first, rest, flag, more = self.got
        return Recipe(
            f"{__name__}:Custom", {"first": first, "rest": list(rest), "flag": flag, "more": more}
        )

    @classmethod
    def pair(cls, left: int, right: int) -> Custom:
        return cls(left, right)


def shout(text: str) -> str:
    return text.upper()


class Outer:
    class Inner(enum.Enum):
        X = 1


def _travel(value: object) -> object:
    return build(Recipe.from_dict(json.loads(json.dumps(recipe_of(value).to_dict()))))


@pytest.mark.parametrize(
    "value",
    [Metric("a"), Metric("a", (1.0, 2.0), Colour.RED), Model(size=3), Colour.RED, Outer.Inner.X],
)
def test_value_classes_are_rebuilt(value: object) -> None:
    """Dataclasses, enums and pydantic models come back through JSON, nested ones too."""
    back = _travel(value)

    assert type(back) is type(value)
    assert back == value


def test_a_value_may_say_its_own_recipe() -> None:
    """All kinds of parameters find their arguments again."""
    custom = Custom(1, 2, 3, flag=True, extra="x")

    assert isinstance(custom, SupportsRecipe)
    back = _travel(custom)
    assert isinstance(back, Custom)
    assert back.got == custom.got


def test_a_class_method_may_be_called() -> None:
    """Of a class whose instances have recipes."""
    made = build(Recipe(f"{__name__}:Custom.pair", {"left": 1, "right": 2}))

    assert made.got == (1, (2,), False, {})


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        1.5,
        "x",
        [1, ["a", None]],
        (1, ("a", [2])),
        {"a": {"b": 1}},
        {"$recipe": 1},
        {1: "a", "b": 2},
        [Colour.RED, shout, Metric],
        {"metric": Metric("a")},
        len,
    ],
)
def test_arguments_survive_json(value: Any) -> None:
    """Plain data, values with recipes, and things that are imported by name."""
    data = json.loads(json.dumps(encode_argument(value, "x")))

    assert decode_argument(data) == value


class TestRefused:
    def test_lambdas_and_local_functions_by_name(self) -> None:
        """The message says where it was, what it is called and what to do."""

        def local() -> None: ...

        for value in (lambda: None, local):
            with pytest.raises(TypeError, match=r"metric\['f'\]\[0\].*<l.*top level"):
                encode_argument({"f": [value]}, "metric")

    def test_a_bound_method(self) -> None:
        """Its object would be lost."""
        with pytest.raises(TypeError, match="cannot be imported"):
            encode_argument("x".upper, "f")
        with pytest.raises(TypeError, match="cannot be imported"):
            encode_argument(Custom(1).recipe, "f")

    def test_a_value_without_a_recipe(self) -> None:
        """The message names its type and the fix."""
        with pytest.raises(TypeError, match=r"x\[1\].*object.*recipe\(\)"):
            encode_argument([1, object()], "x")

    def test_a_class_that_was_replaced(self) -> None:
        """The name must lead to the very object."""
        impostor = type("Metric", (), {"__module__": __name__})

        with pytest.raises(TypeError, match="cannot be imported"):
            import_path(impostor)

    @pytest.mark.parametrize(
        "path",
        [
            "",
            "os",
            ":x",
            "os:",
            "os:no such",
            "os:path.nothing",
            "nowhere_at_all:x",
            "os:a-b",
            "a b:c",
        ],
    )
    def test_paths_that_lead_nowhere(self, path: str) -> None:
        """They are LoadErrors that show the path."""
        with pytest.raises(LoadError) as caught:
            resolve(path)

        assert repr(path) in str(caught.value)

    @pytest.mark.parametrize(
        "recipe",
        [
            Recipe("os:system", {"command": "true"}),
            Recipe("subprocess:Popen", {"args": ["true"]}),
            Recipe("builtins:eval", {"source": "1"}),
            Recipe(f"{__name__}:shout", {"text": "x"}),
            Recipe("pathlib:Path.home", {}),
            Recipe(f"{__name__}:Custom.recipe", {}),
            Recipe(f"{__name__}:Outer", {}),
        ],
    )
    def test_a_file_cannot_have_any_function_called(self, recipe: Recipe) -> None:
        """Only value classes are called, whatever a recipe says."""
        with pytest.raises(LoadError, match="not something a recipe may call"):
            build(recipe)

    @pytest.mark.parametrize(
        ("path", "arguments"),
        [
            ("Metric", {}),
            ("Metric", {"field": "a", "colours": 1}),
            ("Model", {"size": "many"}),
            ("Colour", {"value": "green"}),
            ("Colour", {}),
        ],
    )
    def test_arguments_that_do_not_fit(self, path: str, arguments: dict[str, Any]) -> None:
        """Code that has changed since is a LoadError that names the class."""
        with pytest.raises(LoadError, match=path):
            build(Recipe(f"{__name__}:{path}", arguments))

    @pytest.mark.parametrize(
        "data", [{}, {"path": 3}, {"path": "a:b", "arguments": [1]}, {"arguments": {}}]
    )
    def test_data_that_is_no_recipe(self, data: dict[str, Any]) -> None:
        """It is shown."""
        with pytest.raises(LoadError, match="not a recipe"):
            Recipe.from_dict(data)

    def test_damaged_arguments(self) -> None:
        """A nested recipe or import that is not one is a LoadError."""
        broken: list[dict[str, Any]] = [
            {"$recipe": 3},
            {"$import": 3},
            {"$dict": 3},
            {"$tuple": 3},
            {"$recipe": {}},
        ]
        for data in broken:
            with pytest.raises(LoadError):
                decode_argument(data)


@dataclass(frozen=True)
class Fussy:
    size: int

    def __post_init__(self) -> None:
        if self.size < 0:
            raise RuntimeError("no room")


def test_a_constructor_may_raise_anything() -> None:
    """Whatever a constructor raises is a LoadError that names the path and the error."""
    with pytest.raises(LoadError, match=r"Fussy.*RuntimeError: no room"):
        build(Recipe(f"{__name__}:Fussy", {"size": -1}))


@pytest.mark.parametrize("path", [".relative:Name", "..:Name", "a..b:Name", ":Name", "a:", "a\0:b"])
def test_paths_that_no_import_takes(path: str) -> None:
    """A module that cannot be named is refused before anything is imported."""
    with pytest.raises(LoadError, match="not an import path"):
        resolve(path)


def test_a_module_that_fails_when_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a module raises while it runs is a LoadError that shows it."""
    (tmp_path / "recipe_broken_module.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(LoadError, match="its module raised ZeroDivisionError"):
        resolve("recipe_broken_module:Name")
