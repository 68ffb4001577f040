"""Reports with every section filled, from made-up numbers, to test the page and the browser with."""

import numpy as np

from medgan.pictures.display import ClassGallery, png
from medgan.reports.page import ImageRow, NearestPair, ReportData

LABELS = ("a class with a rather long name, as hospitals like them", "normal")


def scores():
    found = []
    for label in ("", *LABELS):
        for space in ("lite2", "domain", "radiomics"):
            for name, better in (
                ("kid", "lower"),
                ("fd", "lower"),
                ("sliced_wasserstein", "lower"),
                ("precision", "higher"),
                ("recall", "higher"),
                ("density", "higher"),
                ("coverage", "higher"),
            ):
                found.append(
                    {
                        "name": name,
                        "space": space,
                        "label": label,
                        "value": 0.61,
                        "low": 0.52,
                        "high": 0.7,
                        "n": 40,
                        "n_real": 70,
                        "floor": 0.8,
                        "at_floor": name == "kid",
                        "better": better,
                        "note": "only 40 synthetic images: that the images are alike cannot be concluded",
                    }
                )
    return found


def arm(name, auprc, *, made, role=""):
    return {
        "name": name,
        "judge": "cnn",
        "role": role,
        "made": made,
        "schedule": {"rate": 1e-3, "steps": 100, "penalty": None},
        "inner": auprc,
        "spread": 0.01,
        "auprc": auprc,
        "low": auprc - 0.05,
        "high": auprc + 0.06,
        "sensitivity": 0.7,
        "sensitivity_low": 0.6,
        "sensitivity_high": 0.8,
        "auroc": 0.88,
        "balanced_accuracy": 0.8,
        "macro_f1": 0.7,
        "added": {},
        "per_seed": [auprc],
    }


class Said:
    """What classifiers said of 60 images, as an evaluation keeps it."""

    def __init__(self):
        chance = np.random.default_rng(1)
        self.names, self.rare = LABELS, LABELS[:1]
        self.arms = (
            ("cnn", "real"),
            ("cnn", "oversampling + classical"),
            ("cnn", "finish on real + classical"),
            ("cnn", "share 0.25"),
            ("probe", "real"),
        )
        self.truth = np.array([0] * 20 + [1] * 40)
        first = chance.uniform(0, 1, (len(self.arms), 60)) * 0.6 + 0.4 * (self.truth == 0)
        self.probabilities = np.stack([first, 1 - first], axis=2).astype(np.float32)


def log():
    return [
        {
            "images_shown": 1000 * n,
            "seconds": 10.0 * n,
            "seconds_left": 80.0 - 10 * n,
            "images_per_second": 100.0,
            "critic_loss": 1 / n,
            "generator_loss": n / 9,
            "guards": {
                "variety": dict.fromkeys(LABELS, 0.9),
                "copies": dict.fromkeys(LABELS, 0.01),
                "kid": dict.fromkeys(LABELS, 3 / n),
            }
            if n % 2
            else None,
        }
        for n in range(1, 9)
    ]


def whole():
    """Every section filled."""
    chance = np.random.default_rng(0)
    images = chance.uniform(0, 1, (8, 1, 32, 32)).astype(np.float32)
    figures_png = png(images[0])
    return ReportData(
        title="Are the synthetic images useful, realistic and private?",
        evaluation={
            "verdict": "no-difference",
            "sentence": "No difference: oversampling with classical augmentation does as well.",
            "arm": "finish on real + classical",
            "headroom": {
                "sentence": "Even twice as many real patients would bring about +2.0 points of AUPRC."
            },
            "care": "With the median of the schedules tried, little is lost.",
            "arms": [
                arm("real", 0.51, made=False),
                arm("oversampling + classical", 0.66, made=False, role="reference"),
                arm("finish on real + classical", 0.64, made=True, role="named"),
                arm("share 0.25", 0.6, made=True),
                {**arm("real", 0.41, made=False), "judge": "probe"},
            ],
            "scores": scores(),
            "usefulness": {
                "external": {
                    "verdict": "cannot-tell",
                    "sentence": "Cannot tell whether synthetic images help: only 4 external patients have "
                    "covid; a verdict needs at least 5.",
                    "arms": [arm("oversampling + classical", 0.583, made=False, role="reference")],
                }
            },
            "giveaways": {
                "verdict": "told",
                "sentence": "Picture shape alone tells covid from the rest with an AUROC of 0.89.",
                "signs": [
                    {
                        "sign": "shape",
                        "values": 9,
                        "classes": [
                            {
                                "label": "covid",
                                "patients": 20,
                                "auroc": 0.89,
                                "low": 0.84,
                                "high": 0.93,
                                "auprc": 0.7,
                                "base": 0.33,
                            }
                        ],
                    },
                    {"sign": "scanner", "values": 0, "classes": []},
                ],
            },
            "shortcut": {"verdict": "visible", "sentence": "Visible, but not used."},
            "counts": {
                "train": dict(zip(LABELS, (16, 100), strict=True)),
                "val": {},
                "test": dict.fromkeys(LABELS, 9),
                "synthetic": dict.fromkeys(LABELS, 500),
            },
            "privacy": {
                "findings": [
                    {
                        "test": "T1",
                        "space": "pixels",
                        "sample": "seed 3",
                        "label": LABELS[1],
                        "nearest": "patient 0123456789abcdef, image 1",
                        "distance": 0.01,
                        "threshold": 0.02,
                    }
                ],
                "verdict": "failed",
                "sentence": "No near copy was found.",
                "tests": [
                    {"name": "T1", "value": 0.91, "interval": [0.88, 0.93], "threshold": 0.97, "passed": True}
                ],
            },
        },
        galleries=[
            ClassGallery(
                label=label,
                real=images,
                synthetic=images[:5],
                names=((), [f"seed {n}" for n in range(5)]),
                counts=(8, 900),
            )
            for label in LABELS
        ],
        ranked=[
            (
                LABELS[0],
                [
                    ImageRow(title="best", images=images[:4], captions=["seed 1, realism 1.20"] * 4),
                    ImageRow(title="rejected", images=images[:2], captions=["near copy", "another class"]),
                ],
            )
        ],
        pairs=[
            NearestPair(label=label, words="Correlation 0.91 (seed 3).", synthetic=images[0], real=images[1])
            for label in LABELS
        ],
        before=dict(zip(LABELS, (16, 100), strict=True)),
        after=dict.fromkeys(LABELS, 100),
        log=log(),
        grids=[("After 1,000 images shown", figures_png)],
        predictions=Said(),
        unmeasured=[
            (
                "Whether a classifier can tell",
                "medgan evaluate scans/ --model run/ --only shortcut --out evaluation",
            )
        ],
        stand_ins="`scans/` stands for the folder of your scans.",
        facts={
            "command": "medgan evaluate SOURCE --model RUN --out EVALUATION",
            "digest: data": "0123456789abcdef" * 4,
        },
        notes=["no patient is held out"],
    )


def empty():
    """Nothing is known."""
    return ReportData(title="Nothing yet")


def folder():
    """What is told of a balanced folder."""
    images = np.random.default_rng(0).uniform(0, 1, (8, 1, 32, 32)).astype(np.float32)
    return ReportData(
        title="What medgan balance wrote",
        galleries=[
            ClassGallery(
                label=LABELS[0],
                real=images,
                synthetic=images,
                names=([f"a_real_{n:06d}.dcm" for n in range(8)], [f"a_syn_{n:06d}.dcm" for n in range(8)]),
                counts=(16, 84),
            ),
            ClassGallery(
                label=LABELS[1],
                real=images,
                names=([f"b_real_{n:06d}.dcm" for n in range(8)], []),
                counts=(100, 0),
                absent="none needed",
            ),
        ],
        pairs=[
            NearestPair(
                label=LABELS[0],
                words="a_syn_000001.dcm and a_real_000002.dcm: distance 0.03.",
                synthetic=images[0],
                real=None,
            )
        ],
        filtered={LABELS[0]: {"drawn": 336, "near copies": 2, "kept": 84}},
        checked=["Near copies: every candidate was compared. **Not** a proof: `--no-filter`."],
        before=dict(zip(LABELS, (16, 100), strict=True)),
        after=dict.fromkeys(LABELS, 100),
        log=log(),
        unmeasured=[
            ("Whether they help", "medgan evaluate scans/ --synthetic balanced --out balanced-evaluation")
        ],
    )
