"""The screen: a copycat fails, unseen real images pass, and every outcome says that it is no proof."""

from dataclasses import replace

import numpy as np
import pytest

from medgan.base.errors import ModelError
from medgan.evaluation import hypothesis_tests, privacy
from medgan.evaluation.memorisation import Side, above, copying
from medgan.evaluation.usefulness.image_sets import Split
from medgan.preparation.images import LabelledImages
from tests.similarity.test_copies import organ


@pytest.fixture(autouse=True)
def plain_spaces(monkeypatch):
    """Fewer resamples, and no weights: what is tested here is the arithmetic."""
    monkeypatch.setattr(hypothesis_tests, "_RESAMPLES", 200)
    monkeypatch.setattr(privacy, "_SPACES_WANTED", ("radiomics",))


def images(pixels, kind):
    names = np.array([f"{kind}{number}" for number in range(len(pixels))])
    return LabelledImages(
        pixels=pixels, labels=np.zeros(len(pixels), np.int64), names=("organ",), patients=names, sources=names
    )


DRAWN = organ(220, 0)  # at once: the sets must differ by chance alone
TRAIN, HELD_OUT, UNSEEN = (
    images(DRAWN[start:end], kind)
    for start, end, kind in ((0, 100, "train"), (100, 160, "held"), (160, 220, "made"))
)


def copies(count=60):
    noise = np.random.default_rng(0).normal(size=TRAIN.pixels[:count].shape) * 0.05 * TRAIN.pixels.std()
    return images(np.roll(0.9 * TRAIN.pixels[:count] + noise, 1, 3).astype(np.float32), "copy")


def test_a_copycat_fails_and_its_originals_are_named():
    found = privacy.screen_privacy(Split(TRAIN, HELD_OUT, copies()))
    assert found.verdict == "failed"
    t1 = next(test for test in found.tests if test.name == "T1")
    assert (t1.passed, t1.value) == (False, 1.0)
    pairs = {one.sample: one.nearest for one in found.findings if one.test == "T1"}
    assert pairs == {f"copy{number}": f"train{number}" for number in range(60)}
    assert next(test for test in found.tests if test.name == "T5").value > 0.7


def test_unseen_real_images_pass():
    found = privacy.screen_privacy(Split(TRAIN, HELD_OUT, UNSEEN))
    assert found.verdict == "passed", found.tests
    assert {test.name for test in found.tests} == {"T1", "T2", "T3", "T4", "T5"}
    assert all(test.low <= test.high for test in found.tests if test.value is not None)


def test_every_outcome_says_that_it_is_no_proof():
    few = privacy.screen_privacy(Split(TRAIN.take(range(3)), HELD_OUT.take(range(2)), copies(3)))
    none = privacy.screen_privacy(Split(TRAIN, HELD_OUT, HELD_OUT.take([])))
    assert (few.verdict, none.verdict) == ("undecided", "undecided")
    for one in (few, none, privacy._conclude((), (), ())):
        assert "a screen, not a proof" in one.sentence


def test_a_space_that_is_not_installed_is_left_out_and_that_is_said(monkeypatch):
    def absent(train, seed):
        raise ModelError("the weights package is not installed")

    monkeypatch.setattr(privacy, "_SPACES_WANTED", ("lite2", "radiomics"))
    monkeypatch.setitem(privacy.SPACES, "lite2", absent)
    found = privacy.screen_privacy(Split(TRAIN, HELD_OUT, copies(20)))
    assert {test.space for test in found.tests} == {"pixels", "radiomics"}
    assert any("lite2 was left out" in note for note in found.notes)


def test_a_few_exact_copies_fail_and_a_few_near_ones_are_told():
    def among(few):
        return images(np.concatenate([UNSEEN.pixels, few]), "made")

    exact = privacy.screen_privacy(Split(TRAIN, HELD_OUT, among(TRAIN.pixels[:1])))
    assert exact.verdict == "failed"
    assert "copies by correlation (T1, pixels)" in exact.sentence
    near = privacy.screen_privacy(Split(TRAIN, HELD_OUT, among(copies(1).pixels)))
    assert near.verdict == "passed"
    assert (
        "No test failed, but 1 synthetic image is nearer to a training image than unseen real images are"
        in near.sentence
    )


@pytest.mark.parametrize(("share", "passed"), [(0.005, True), (0.1, None), (0.4, False)])
def test_a_share_between_design_and_chance_tells_nothing(share, passed):
    who = np.arange(20).astype(str)
    test = hypothesis_tests.ratio_test("T2", "lite2", lambda *_: share, (who, who), 0.3, 0, "")
    assert test.passed is passed
    found = privacy._conclude([test, replace(test, name="T1", passed=True)], (), ())
    assert found.verdict == {True: "passed", None: "undecided", False: "failed"}[passed]


@pytest.mark.parametrize(("people", "share"), [(5, 0.653), (20, 0.233), (100, 0.0516), (600, 0.01)])
def test_the_fewer_strangers_the_more_honest_images_may_lie_below_their_limit(people, share):
    who = np.arange(people).astype(str)
    found = hypothesis_tests.alarm_threshold(np.zeros(people, np.int64), who, UNSEEN)
    assert found == pytest.approx(share, abs=1e-3)
    chance = np.random.default_rng(0)
    newcomers = [chance.random(people).min() for _ in range(2000)]  # their share below the least of so many
    assert np.mean(np.array(newcomers) > found) < 0.01 or share == 0.01


def of_two_classes(near, far, kind):
    """Class 0 much alike, class 1 with noise of its own."""
    chance = np.random.default_rng(len(near))
    rough = far + chance.normal(0, 2 * far.std(), far.shape)
    both = images(np.concatenate([near, rough]).astype(np.float32), kind)
    labels = np.repeat([0, 1], [len(near), len(far)])
    return replace(both, labels=labels, names=("alike", "rough"))


def test_another_mixture_of_classes_is_no_memory():
    made = of_two_classes(DRAWN[120:150], DRAWN[150:180], "made")
    train = of_two_classes(DRAWN[:70], DRAWN[70:78], "train")
    held_out = of_two_classes(DRAWN[78:90], DRAWN[90:120], "held")
    assert 0.35 < privacy._membership_test(Split(train, held_out, made), 0).value < 0.65
    learned = replace(train, pixels=np.concatenate([train.pixels[:70], made.pixels[30:38]]))
    assert privacy._membership_test(Split(learned, held_out, made), 0).passed is False


def test_the_area_is_that_of_the_curve_with_ties_half():
    first, second = np.array([1.0, 2.0, 2.0]), np.array([0.0, 2.0])
    assert above(first, second, (np.ones(3), np.ones(2))) == pytest.approx((1 + 0 + 1 + 0.5 + 1 + 0.5) / 6)
    assert above(first, second, (np.array([1.0, 0, 0]), np.ones(2))) == 0.5


def test_copying_is_the_mann_whitney_statistic():
    from scipy.stats import mannwhitneyu

    chance = np.random.default_rng(0)
    near, far = chance.random(40), chance.random(30) + 0.5
    sides = [
        Side(distance=x, cell=np.zeros(len(x), np.int64), patients=np.arange(len(x)).astype(str))
        for x in (near, far)
    ]
    u = mannwhitneyu(near, far).statistic
    expected = (u - 600) / np.sqrt(40 * 30 * 71 / 12)
    assert copying(*sides, (np.ones(40), np.ones(30))) == pytest.approx(expected)
    assert expected < -2
    assert np.isnan(
        copying(
            Side(distance=near[:5], cell=np.zeros(5), patients=np.arange(5).astype(str)),
            sides[1],
            (np.ones(5), np.ones(30)),
        )
    )
