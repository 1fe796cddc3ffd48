"""Which Python a project wants, and which is fit."""

from __future__ import annotations

import pytest
from tests.core.plans import DictTree

from dobby.core.interpreter import Wish, is_fit, sentence, wishes


@pytest.mark.parametrize(
    ("spec", "fit", "unfit"),
    [
        (">=3.9", "3.9.0 3.13.1 4.0.0", "3.8.19 2.7.18"),
        (">=3.9,<3.13", "3.9.0 3.12.9", "3.13.0"),
        (">3.11,!=3.12.*", "3.11.1 3.13.0", "3.11.0 3.12.4"),
        ("==3.12.*", "3.12.0 3.12.11", "3.1.2 3.11.2"),
        ("==3.12.4", "3.12.4", "3.12.5"),
        ("~=3.9", "3.9.0 3.12.0", "4.0.0 3.8.0"),
        ("~=3.9.2", "3.9.2 3.9.9", "3.9.1 3.10.0"),
        ("^3.9", "3.9.0 3.14.0", "3.8.0 4.0.0"),
        ("~3.9", "3.9.0 3.9.9", "3.10.0"),
        ("3.11", "3.11.0 3.11.7", "3.12.0"),
        ("~3.9 || ^3.12", "3.9.1 3.13.0", "3.10.0"),
        (">=3.9 <3.11", "3.10.0", "3.11.0"),
        ("*", "2.7.0 3.12.0", ""),
        ("what only the tool knows", "3.12.0", ""),
    ],
)
def test_specifiers(spec: str, fit: str, unfit: str) -> None:
    wish = (Wish(spec=spec, source="x"),)
    assert [v for v in fit.split() if not is_fit(v, wish)] == []
    assert [v for v in unfit.split() if is_fit(v, wish)] == []


PROJECT = '[project]\nname = "x"\nrequires-python = ">=3.9"\n[tool.poetry.dependencies]\npython = "^3.11"\n'


@pytest.mark.parametrize(
    ("files", "dir", "kind", "found"),
    [
        ({}, "", "pip", []),
        ({".python-version": "3.12\n"}, "", "pip", ["==3.12.*"]),
        ({".python-version": "3.12.4"}, "a/b", "pip", ["==3.12.4.*"]),
        ({".python-version": "3.12", "a/.python-version": "cpython-3.11"}, "a", "pip", ["==3.11.*"]),
        ({".python-version": "my-env\n"}, "", "pip", []),
        ({".python-version": ""}, "", "pip", []),
        ({"pyproject.toml": PROJECT}, "", "pip", [">=3.9"]),
        ({"pyproject.toml": PROJECT}, "", "poetry", [">=3.9", "^3.11"]),
        ({"Pipfile": '[requires]\npython_version = "3.11"\n'}, "", "pipenv", ["==3.11.*"]),
        ({"Pipfile": '[requires]\npython_version = "3.11"\n'}, "", "pip", []),
        ({"Pipfile": "no toml"}, "", "pipenv", []),
    ],
)
def test_where_a_wish_stands(files: dict[str, str], dir: str, kind: str, found: list[str]) -> None:
    assert [wish.spec for wish in wishes(DictTree(files, dir), kind)] == found


def test_a_missing_one_is_named_in_one_sentence() -> None:
    wish = Wish(spec="==3.12.*", source=".python-version")
    assert sentence([wish], ["3.9.2", "3.11.7", "3.11.2"]).startswith(
        "the project wants Python 3.12 (.python-version); the host has 3.9 and 3.11: install it there"
    )
