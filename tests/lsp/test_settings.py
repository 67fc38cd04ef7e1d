"""Settings from whatever an editor sends."""

import dataclasses
from typing import Any

import pytest
from engram_lsp.settings import Settings, table
from hypothesis import given
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
NAMES = [name.removeprefix("engram.") for name, *_ in table()]


@pytest.mark.parametrize(
    "source",
    [
        {"inline": {"enable": False}},
        {"inline.enable": False},
        {"engram": {"inline": {"enable": False}}},
        {"engram.inline.enable": False},
    ],
)
def test_names_may_be_nested_or_dotted_with_or_without_the_section(source: dict[str, Any]) -> None:
    settings, warnings = Settings.read(source)
    assert not settings.inline.enable
    assert warnings == ()
    assert settings == dataclasses.replace(Settings(), inline=dataclasses.replace(Settings().inline, enable=False))


def test_later_sources_win_and_null_says_nothing() -> None:
    settings, _ = Settings.read({"completion.limit": 5, "inline.enable": False}, None, {"completion": {"limit": 7}})
    assert settings.completion.limit == 7
    assert not settings.inline.enable
    assert Settings.read({"completion.limit": None}) == (Settings(), ())


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ({"completion.limit": "many"}, "engram.completion.limit must be a number"),
        ({"completion.limit": -1}, "engram.completion.limit must be a number"),
        ({"completion.limit": True}, "engram.completion.limit must be a number"),
        ({"inline.enable": 1}, "engram.inline.enable must be true or false"),
        ({"model.providers": "CUDA"}, "engram.model.providers must be a list"),
        ({"diagnostics": {"severity": {"x": "loud"}}}, "engram.diagnostics.severity must be"),
        ({"speed": "high"}, "unknown setting engram.speed"),
        ({"inline": {"colour": 1}}, "unknown setting engram.inline.colour"),
        ([1], "must be an object"),
    ],
)
def test_what_is_wrong_is_said_and_the_default_is_used(source: Any, complaint: str) -> None:
    settings, warnings = Settings.read(source)
    assert settings == Settings()
    assert len(warnings) == 1
    assert complaint in warnings[0]


def test_values_arrive_where_they_belong() -> None:
    settings, warnings = Settings.read(
        {
            "index": {"exclude": ["build/"], "cacheFolder": "~/x"},
            "diagnostics": {"severity": {"unused-import": "off"}},
            "python.interpreter": "/usr/bin/python3",
        }
    )
    assert warnings == ()
    assert settings.index.exclude == ("build/",)
    assert settings.diagnostics.severity == {"unused-import": "off"}
    assert settings.cache_folder is not None and settings.cache_folder.is_absolute()
    assert settings.interpreter is not None


@given(JSON, st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4))
def test_no_json_value_makes_reading_fail(anything: Any, named: dict[str, Any]) -> None:
    settings, _ = Settings.read(anything, named)
    assert isinstance(settings, Settings)


def test_every_setting_is_documented_and_its_default_is_valid() -> None:
    for name, kind, default, about in table():
        assert kind and about and not about.endswith("."), name
        value = list(default) if isinstance(default, tuple) else default
        assert Settings.read({name: value}) == (Settings(), ()), name
