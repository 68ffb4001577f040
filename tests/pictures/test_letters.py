import matplotlib as mpl
import pytest
from matplotlib import font_manager

from medgan.pictures import letters
from medgan.pictures.letters import drawable_text, shorten_names


@pytest.fixture
def bare(monkeypatch):
    """A machine that has matplotlib's own fonts alone."""
    own = [font for font in font_manager.fontManager.ttflist if str(mpl.get_data_path()) in font.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    letters._find_fonts.cache_clear()
    yield
    letters._find_fonts.cache_clear()


def test_letters_that_the_font_has_stay(bare):
    assert drawable_text("Übergröße, малярия, مرض") == "Übergröße, малярия, مرض"


def test_letters_that_no_font_has_become_escapes_that_differ(bare):
    assert drawable_text("肺炎") == r"\u80ba\u708e"
    assert drawable_text("正常") == r"\u6b63\u5e38"
    assert drawable_text("निमोनिया").startswith(r"\u0928")


@pytest.mark.parametrize("unseen", ["\n", "\x1b", "\x00", "‮", "​", "\udce9"])
def test_what_cannot_be_seen_becomes_an_escape(bare, unseen):
    assert drawable_text(f"a{unseen}b").startswith("a\\")


def test_another_font_is_taken_where_there_is_one(bare, monkeypatch):
    held = letters._file_letters
    monkeypatch.setattr(
        letters,
        "_file_letters",
        lambda file, wanted: wanted if "STIXGeneral.ttf" in file else held(file, wanted),
    )
    assert drawable_text("肺炎") == "肺炎"
    with letters.fonts_for("肺炎"):
        assert mpl.rcParams["font.family"] == ["DejaVu Sans", "STIXGeneral"]
    assert mpl.rcParams["font.family"] == ["sans-serif"]


def test_shortened_names_still_differ():
    names = [
        "pneumonia of the left lower lobe",
        "pneumonia of the left upper lobe",
        "normal",
        "x" * 30 + "a" + "y" * 30,
        "x" * 30 + "b" + "y" * 30,
    ]
    found = shorten_names(names, 18)
    assert len(set(found)) == len(names)
    assert max(map(len, found)) <= 18
    assert found[2] == "normal"


def test_equal_names_stay_equal():
    assert shorten_names(["a", "a"], 18) == ["a", "a"]
