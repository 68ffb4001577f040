import pytest

from medgan.report import figures
from tests.report.stories import arm


@pytest.fixture
def drawn(monkeypatch):
    """The figures themselves, in place of their bytes."""
    monkeypatch.setattr(figures, "svg", lambda figure: figure)
    return figures


def row(shown, **measured):
    return {"images_shown": shown, "critic_loss": None, "distance": None, "generator_loss": 1.0, **measured}


def labels_of(figure):
    return [line.get_label() for line in figure.axes[0].lines if not line.get_label().startswith("_")]


def test_judges_are_never_mixed_in_one_list(drawn):
    arms = [
        arm("real", "", 0.5, made=False),
        arm("synthetic", "1", 0.7, made=True),
        {**arm("real", "", 0.6, made=False), "judge": "probe"},
    ]
    first, second = drawn.arms_figure(arms, "synthetic").axes
    assert [text.get_text() for text in first.get_yticklabels()] == ["real", "synthetic, ratio 1"]
    assert [text.get_text() for text in second.get_yticklabels()] == ["real"]
    assert first.get_title("left") != second.get_title("left")
    assert first.get_xlim() == second.get_xlim()


def test_a_curve_is_shown_of_what_the_generator_learned_by(drawn):
    matched = [row(1000, distance=0.4), row(2000, distance=0.3)]
    assert labels_of(drawn.curves_figure(matched)) == ["synthetic to real images, in features"]
    taught = [row(1000, critic_loss=0.7), row(2000, critic_loss=0.6)]
    assert labels_of(drawn.curves_figure(taught)) == ["generator loss", "discriminator loss"]
