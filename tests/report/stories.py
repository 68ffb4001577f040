"""Stories with every section filled, from numbers that are made up: what the page and the browser are tested with."""

import numpy as np

from medgan.report.page import Pair, Story

LABELS = ("a class with a rather long name, as hospitals like them", "normal")


def scores():
    found = []
    for label in ("", *LABELS):
        for space in ("lite2", "domain", "radiomics"):
            for name, better in (("kid", "lower"), ("fd", "lower"), ("sliced_wasserstein", "lower"), ("precision", "higher"), ("recall", "higher"), ("density", "higher"), ("coverage", "higher")):  # fmt: skip
                found.append(
                    {
                        "name": name, "space": space, "label": label, "value": 0.61, "low": 0.52, "high": 0.7, "n": 40, "n_real": 70,
                        "floor": 0.8, "at_floor": name == "kid", "better": better,
                        "note": "only 40 synthetic images: that the images are alike cannot be concluded",
                    }
                )  # fmt: skip
    return found


def arm(name, ratio, auprc, *, made):
    return {
        "name": name, "judge": "cnn", "ratio": ratio, "made": made, "auprc": auprc, "low": auprc - 0.05, "high": auprc + 0.06,
        "sensitivity": 0.7, "auroc": 0.88, "balanced_accuracy": 0.8, "macro_f1": 0.7, "validation": auprc, "added": {}, "per_seed": [auprc],
    }  # fmt: skip


def whole():
    """Every section filled."""
    chance = np.random.default_rng(0)
    images = chance.uniform(0, 1, (8, 1, 32, 32)).astype(np.float32)
    return Story(
        title="Synthetic images: do they help, are they real, are they anybody?",
        evaluation={
            "verdict": "no-benefit",
            "sentence": "No benefit: oversampling with classical augmentation does as well.",
            "best_arm": "oversampling + classical",
            "arms": [
                arm("none", "", 0.51, made=False),
                arm("oversampling + classical", "", 0.66, made=False),
                arm("synthetic + classical", "0.5", 0.64, made=True),
                arm("synthetic + classical", "parity", 0.6, made=True),
                {**arm("none", "", 0.41, made=False), "judge": "probe"},
            ],
            "scores": scores(),
            "shortcut": {"verdict": "visible", "sentence": "Visible, but not used."},
            "privacy": {
                "findings": [
                    {"test": "T1", "space": "pixels", "sample": "seed 3", "label": LABELS[1], "nearest": "patient 0123456789abcdef, image 1", "distance": 0.01, "threshold": 0.02}
                ],
                "verdict": "failed",
                "sentence": "No near copy was found.",
                "tests": [
                    {"name": "T1", "value": 0.91, "interval": [0.88, 0.93], "threshold": 0.97, "passed": True}
                ],
            },
        },
        galleries=[(label, images, images[:5]) for label in LABELS],
        pairs=[Pair(label=label, words="Correlation 0.91 (seed 3).", synthetic=images[0], real=images[1]) for label in LABELS],
        before=dict(zip(LABELS, (16, 100), strict=True)),
        after=dict.fromkeys(LABELS, 100),
        log=[{"images_shown": 1000 * n, "critic_loss": 1 / n, "generator_loss": n / 9} for n in range(1, 9)],
        facts={"command": "medgan evaluate SOURCE --model RUN --out EVALUATION", "digest: data": "0123456789abcdef" * 4},
        notes=["no patient is held out"],
    )  # fmt: skip


def empty():
    """Nothing is known."""
    return Story(title="Nothing yet")
