"""A registry takes what lies in its package's folders, and refuses a module that is not complete by name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from triad.discovery import discover, parts
from triad.errors import TriadError


class Shape(Protocol):
    name: str

    @property
    def sides(self) -> int: ...
    def area(self) -> float: ...


SQUARE = """
class Square:
    name, sides = "square", 4
    def area(self): return 1.0

SHAPE = Square()
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "shapes"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "base.py").write_text("raise ImportError('declares nothing, and nobody imports it')")
    (folder / "square.py").write_text(SQUARE)
    monkeypatch.syspath_prepend(tmp_path)
    __import__("shapes")
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "shapes"]:
        del sys.modules[name]


def test_a_protocol_asks_for_its_attributes_and_methods() -> None:
    assert parts(Shape) == {"name", "sides", "area"}


def test_modules_declare_one_object_or_several(package: Path) -> None:
    (package / "more.py").write_text(
        SQUARE.replace("SHAPE = Square()", "SHAPE = (Square(), Square())\n")
        + """
SHAPE[0].name, SHAPE[1].name = "small", "large"
"""
    )
    shapes = discover("shapes", "SHAPE", Shape)
    assert list(shapes) == ["small", "large", "square"]
    assert shapes["square"].sides == 4 and "circle" not in shapes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SQUARE.replace("def area", "def size"), "Square lacks area"),
        (SQUARE.replace(", sides", ", edges"), "Square lacks sides"),
        (SQUARE.replace("SHAPE", "FORM"), "declares no SHAPE"),
        (SQUARE.replace("sides", "sides"), "'square' is declared twice"),
    ],
)
def test_an_incomplete_module_is_refused_by_name(package: Path, text: str, message: str) -> None:
    (package / "toy.py").write_text(text)
    with pytest.raises(TriadError, match=message) as refused:
        discover("shapes", "SHAPE", Shape)
    assert refused.value.where == "shapes.toy"


def test_a_further_folder_joins_and_leaves(package: Path, tmp_path: Path) -> None:
    shapes = discover("shapes", "SHAPE", Shape)
    for name, sides in (("first", 3), ("second", 5)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "toy.py").write_text(SQUARE.replace('"square", 4', f'"toy", {sides}'))
        sys.modules["shapes"].__path__.append(str(folder))
        shapes.reload()
        assert set(shapes) == {"square", "toy"} and shapes["toy"].sides == sides
        sys.modules["shapes"].__path__.remove(str(folder))
        shapes.reload()
        assert set(shapes) == {"square"}
