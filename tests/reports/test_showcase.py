"""Which images the page of an evaluation shows, and what is said of each."""

from types import SimpleNamespace

import numpy as np
import pytest

from medgan.evaluation.data import EvaluationData
from medgan.filtering import in_memory
from medgan.filtering.selection import CandidateImage
from medgan.preparation.images import LabelledImages
from medgan.reports import exhibits, showcase

NAMES = ("rare", "usual")


def images(counts, sources="seed {}", side=8, patients=None):
    labels = np.repeat(np.arange(len(counts)), counts)
    pixels = np.random.default_rng(len(labels)).random((len(labels), 1, side, side), np.float32)
    told = np.array([sources.format(number) for number in range(len(labels))], str)
    who = (
        np.array([f"p{number // 4}" for number in range(len(labels))], str) if patients is None else patients
    )
    return LabelledImages(pixels=pixels, labels=labels, names=NAMES, patients=who, sources=told)


def gathered(**more):
    real = images((40, 60), "/data/Smith^John/{}.dcm")
    facts = {
        "train": real,
        "val": real.take([]),
        "test": images((30, 30), "/data/Smith^Jane/{}.dcm"),
        "synthetic": images((50, 50)),
    }
    return EvaluationData(**{**facts, "unseen": "", "sources": {}, **more})


def kept(tmp_path, found):
    showcase.save_exhibits(tmp_path, found)
    return exhibits.read_exhibits(tmp_path)


def test_a_wall_has_24_of_each_side_and_names_synthetic_images_only(tmp_path):
    facts = kept(tmp_path, gathered()).facts
    for wall in facts["walls"]:
        assert (len(wall["real"]), len(wall["synthetic"]), len(wall["names"])) == (24, 24, 24)
        assert all(name.startswith("seed ") for name in wall["names"])
    assert "Smith" not in str(facts)


def test_files_of_other_tools_are_not_named(tmp_path):
    found = gathered(synthetic=images((50, 50), "/theirs/Smith^John_{}.png"), realism=tuple(range(100)))
    assert "Smith" not in str(kept(tmp_path, found).facts)


def test_best_middle_and_worst_are_those_of_the_scores(tmp_path):
    scores = tuple(float(number % 50) for number in range(100))
    rejected = images((3, 2), "seed 9{}")
    reasons = ("copy", "class", "realism", "copy", "realism")
    facts = kept(tmp_path, gathered(realism=scores, rejected=rejected, reasons=reasons)).facts
    rows = {row["title"]: row["captions"] for row in facts["ranked"][0]["rows"]}
    assert rows["kept, best scores"][0] == "seed 49, score 49.00"
    assert rows["kept, worst scores"][-1] == "seed 0, score 0.00"
    assert [float(words.rpartition(" ")[2]) for words in rows["kept, in the middle"]] == [26, 25, 24, 23]
    assert rows["rejected"] == [
        "seed 90, a near copy",
        "seed 91, shows its class less surely than real images do",
        "seed 92, least realistic",
    ]


@pytest.mark.parametrize("scores", [(), (None,) * 100, (1.0,) * 5])
def test_without_scores_nothing_is_ranked(tmp_path, scores):
    assert kept(tmp_path, gathered(realism=scores)).facts["ranked"] == []


def test_of_large_images_fewer_are_kept_so_that_the_file_can_be_read():
    def of(side, channels=1):
        return SimpleNamespace(
            train=SimpleNamespace(pixels=np.broadcast_to(np.float32(0), (1, channels, side, side)))
        )

    assert showcase._images_per_side(of(64), 2) == showcase._images_per_side(of(256), 2) == 24
    for side, channels, classes in ((1024, 3, 2), (512, 1, 10), (512, 3, 40)):
        wanted = showcase._images_per_side(of(side, channels), classes)
        values = classes * (2 * wanted + 2 * showcase._PAIRS) * channels * side**2
        assert 2 <= wanted < 24 or values < exhibits._MAX_BYTES


def test_rejected_images_are_those_that_speak_loudest():
    drawn = [CandidateImage(seed=n, kept=False, reason="copy", distance=n / 100) for n in range(9)]
    drawn += [CandidateImage(seed=20 + n, kept=False, reason="surplus", realism=0.1) for n in range(9)]
    drawn += [
        CandidateImage(seed=40, kept=True, reason="class", odds=0.1),
        CandidateImage(seed=41, kept=False, reason="class", odds=0.2),
    ]
    assert in_memory._rejection_reasons(drawn) == {
        "0": "copy",
        "1": "copy",
        "2": "copy",
        "3": "copy",
        "41": "class",
    }


def test_a_pair_is_the_nearest_of_the_class_even_if_mirrored_and_says_how_near(tmp_path):
    found = gathered()
    found.synthetic.pixels[:] = np.random.default_rng(5).random(found.synthetic.pixels.shape, np.float32)
    found.synthetic.pixels[7] = found.train.pixels[20][:, :, ::-1]
    facts = kept(tmp_path, found).facts
    pairs = [one for one in facts["pairs"] if one["label"] == "rare"]
    assert pairs[0]["words"] == "Correlation 1.00 at the best shift, mirrored or not (seed 7)."
    shown = kept(tmp_path, found).images(pairs[0]["rows"])
    assert np.abs(shown[0] - shown[1][:, :, ::-1]).max() < 0.01
    assert len(pairs) == showcase._PAIRS
