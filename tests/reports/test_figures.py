import pytest

from medgan.evaluation.usefulness.arms import RECIPES
from medgan.reports import figures, wording
from tests.reports.sample_reports import arm


@pytest.fixture
def drawn(monkeypatch):
    """The figures themselves, in place of their bytes."""
    monkeypatch.setattr(figures, "_to_svg", lambda figure: figure)
    return figures


def loss_figure(rows):
    """What the networks minimised, as the progress of a run shows it."""

    def draw(_):
        figure = figures.blank_figure(figures.WIDTH, 2.6)
        figures.draw_losses(figures.style_axes(figure.add_subplot()), rows)
        return figure

    return figures.plot_svg((), draw)


def row(shown, **measured):
    return {"images_shown": shown, "critic_loss": None, "distance": None, "generator_loss": 1.0, **measured}


def labels_of(figure):
    return [line.get_label() for line in figure.axes[0].lines if not line.get_label().startswith("_")]


def test_judges_are_never_mixed_in_one_list(drawn):
    arms = [
        arm("real", 0.5, made=False),
        arm("share 0.25", 0.7, made=True),
        {**arm("real", 0.6, made=False), "judge": "probe"},
    ]
    first, second = drawn.arms_figure(arms).axes
    assert [text.get_text() for text in first.texts] == [
        "real images only",
        "a quarter synthetic in every class",
    ]
    assert [text.get_text() for text in second.texts] == ["real images only"]
    assert first.get_title("left") != second.get_title("left")
    assert first.get_xlim() == second.get_xlim()


def test_a_curve_is_shown_of_what_the_generator_learned_by(drawn):
    matched = [row(1000, distance=0.4), row(2000, distance=0.3)]
    assert labels_of(loss_figure(matched)) == ["synthetic to real images, in features"]
    taught = [row(1000, critic_loss=0.7), row(2000, critic_loss=0.6)]
    assert labels_of(loss_figure(taught)) == ["generator loss", "discriminator loss"]


def test_many_classes_are_drawn_by_their_ends(drawn):
    counts = {f"class {number}": number for number in range(20000)}
    names = [text.get_text() for text in drawn.counts_figure(counts, counts).axes[0].get_yticklabels()]
    assert len(names) == drawn._MOST_CLASSES
    assert names[0] == "class 19999"
    assert names[-1] == "class 0"


def test_repeats_stand_between_real_and_synthetic_images(drawn):
    axes = drawn.counts_figure({"a": 2, "b": 5}, {"a": 7, "b": 7}, {"a": 3}).axes[0]
    bars = {one.get_label(): [(bar.get_x(), bar.get_width()) for bar in one] for one in axes.containers}
    assert bars == {
        "real": [(0, 2), (0, 5)],
        "real, repeated": [(2, 3), (5, 0)],
        "synthetic": [(5, 2), (5, 2)],
    }


def test_class_names_in_other_scripts_differ_and_warn_of_nothing(recwarn):
    counts = {"肺炎": 3, "正常": 5, "निमोनिया": 2, "$x^2$": 1, "😀": 1, "مرض السل": 4}
    assert figures.counts_figure(counts, {label: count + 2 for label, count in counts.items()})
    assert not recwarn.list


def test_arms_that_the_verdict_compares_are_bold(drawn):
    arms = [arm("share 0.25", 0.5, made=True), arm("real", 0.6, made=False, role="reference")]
    (panel,) = drawn.arms_figure(arms).axes
    assert [text.get_fontweight() for text in panel.texts] == ["normal", "bold"]


def test_every_arm_has_words_that_a_panel_has_room_for():
    for recipe in RECIPES:
        assert recipe.name.removesuffix(wording._CLASSICAL) in wording._METHODS
        assert len(wording.method(recipe.name)) < 54, recipe.name
