import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgan.base.errors import PlanError
from medgan.cli import config

KNOWN = {"size", "minutes", "window", "class", "no-filter", "images"}


def test_options_are_read_as_they_would_be_typed(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text('[train]\nsize = 128\nminutes = 0.5\nno-filter = true\nclass = ["a=1", "b=2"]\n')
    assert config.read(path, "train", KNOWN) == {
        "size": "128",
        "minutes": "0.5",
        "no-filter": True,
        "class": ["a=1", "b=2"],
    }


def test_a_file_may_serve_several_commands(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text("[train]\nsize = 128\n[balance]\nimages = 5\n")
    assert config.read(path, "balance", KNOWN) == {"images": "5"}
    assert config.read(path, "sample", KNOWN) == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[train]\nsise = 1\n", "has no option 'sise'"),
        ("[train]\nsize = {a = 1}\n", "size is neither text"),
        ("[train]\nsize = [[1]]\n", "size is neither text"),
        ("[train]\nsize = 2026-01-01\n", "size is neither text"),
        ("train = 3\n", "train is not a table"),
        ("[train\n", "is not a TOML file"),
        ("size = " + "[" * 5000, "is not a TOML file"),
    ],
)
def test_a_file_that_says_nothing_sensible_is_refused_in_words(tmp_path, text, sentence):
    path = tmp_path / "my.toml"
    path.write_text(text)
    with pytest.raises(PlanError, match=sentence) as caught:
        config.read(path, "train", KNOWN)
    assert caught.value.hint


def test_the_nearest_name_is_proposed(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text("[train]\nsise = 1\n")
    with pytest.raises(PlanError) as caught:
        config.read(path, "train", KNOWN)
    assert caught.value.hint == "Did you mean size?"


@pytest.mark.parametrize(
    "make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_bytes(b"\xff\xfe")]
)
def test_what_is_no_readable_file_is_refused_in_words(tmp_path, make):
    make(tmp_path / "my.toml")
    with pytest.raises(PlanError) as caught:
        config.read(tmp_path / "my.toml", "train", KNOWN)
    assert caught.value.hint


def test_a_file_that_is_far_too_large_is_not_read(tmp_path):
    path = tmp_path / "my.toml"
    with path.open("wb") as stream:
        stream.truncate(config._MAX_BYTES + 1)
    with pytest.raises(PlanError, match="too large"):
        config.read(path, "train", KNOWN)


@given(st.text(st.characters(blacklist_categories=["Cs"])), st.floats(allow_nan=False), st.booleans())
def test_what_is_kept_is_read_again(tmp_path_factory, text, number, switch):
    folder = tmp_path_factory.mktemp("kept")
    config.keep(
        folder,
        "train",
        ["SOURCE"],
        {"window": text, "minutes": number, "no-filter": switch, "class": (text, "b=2")},
    )
    assert "# medgan train SOURCE --out FOLDER --config medgan.toml" in (folder / config._NAME).read_text(
        "utf-8"
    )
    assert tomllib.loads((folder / config._NAME).read_text("utf-8"))["train"]["window"] == text
    again = config.read(folder / config._NAME, "train", KNOWN)
    assert again == {"window": text, "minutes": str(number), "no-filter": switch, "class": [text, "b=2"]}
