"""Words for a clinician in the place of names that code gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

METHODS = {
    "real": "real images only",
    "class weights": "real images, errors in rare classes weigh more",
    "oversampling": "real images, rare ones shown more often",
    "classical": "real images, varied (shifted, turned)",
    "oversampling + classical": "real images, rare ones shown more often and varied",
    "duplicates": "real images, rare ones doubled",
    "synthetic": "with synthetic images",
    "synthetic + classical": "with synthetic images, all varied",
    "everywhere": "with synthetic images in every class",
    "everywhere + classical": "with synthetic images in every class, all varied",
}
"""{arm of an evaluation: how a classifier was trained in it}."""
JUDGES = {"cnn": "Small network trained from scratch", "probe": "Linear layer on features of a pretrained network"}  # fmt: skip
"""{judge: what kind of classifier it is}."""
SPACES = {
    "pixels": "pixels",
    "lite2": "pretrained features",
    "domain": "features of these scans",
    "radiomics": "texture measures",
}
"""{feature space: in what images are compared}."""
TESTS = {
    "T1": "Copies by correlation",
    "T2": "Nearer to a patient than strangers are",
    "T3": "Share that resembles no training image too much",
    "T4": "Nearer to training images than unseen patients are",
    "T5": "Guessing who was in the training set",
}
"""{test of the privacy screen: what it looks for}."""
SCORES = {
    "kid": ("distance (KID)", "distance"),
    "fd": ("distance (FD-PCA64)", "distance"),
    "sliced_wasserstein": ("distance of pixels (sliced Wasserstein)", "distance"),
    "precision": ("looks real (precision)", "realism"),
    "density": ("among real ones (density)", "realism"),
    "recall": ("variety reached (recall)", "variety"),
    "coverage": ("real images matched (coverage)", "variety"),
    "ms_ssim_gap": ("sameness (MS-SSIM gap)", "variety"),
}
"""{score: (words with its usual name, the question it answers)}."""
QUESTIONS = {
    "distance": "Is the whole like real images?",
    "realism": "Does each look real?",
    "variety": "Are they as varied?",
}
VERDICTS = {
    "helps": ("good", "Helps", "Synthetic images improved the classifier on real test patients."),
    "no-benefit": ("even", "No benefit", "Nothing was gained over the best treatment without synthetic images."),
    "harms": ("bad", "Harms", "The classifier did worse on real test patients with synthetic images."),
    "cannot-tell": ("none", "Cannot tell", "Too few held-out patients have the rare class for a verdict."),
}  # fmt: skip
TONES = {
    "pass": "good",
    "passed": "good",
    "clear": "good",
    "none": "good",
    "visible": "even",
    "told": "even",
    "undecided": "even",
    "cannot-tell": "none",
}
"""{verdict of a part: its tone}; any other is bad news."""
HEADS = {
    "low": "from",
    "high": "to",
    "space": "compared by",
    "sample": "synthetic image",
    "nearest": "training image",
    "label": "class",
    "words": "what the number is",
}
"""{key of a part's JSON: heading of its column}."""
SIGNS = {
    "shape": "picture shape (size, spacing, frames, bits)",
    "brightness": "brightness (mean and spread)",
    "scanner": "scanner, or how a JPEG was compressed",
}
"""{sign that may give a class away: what it is}."""
WORDS = {"True": "yes", "False": "no", "None": "-"}


def method(name: str, ratio: str) -> str:
    """How a classifier was trained, in words."""
    words = METHODS.get(name, name)
    if not ratio:
        return words
    if ratio == "parity":
        return f"{words}, until each class is as large as the largest"
    return f"{words}, {ratio} per real one"


def number(value: float | None) -> str:
    """Three digits that matter."""
    return "-" if value is None else f"{value:.3g}"


def percent(value: float) -> str:
    """A share as whole per cent."""
    return f"{value:.0%}"


def plainly(value: Any) -> str:
    """A value of a part's JSON, as short as it can be said."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {plainly(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return (" to " if len(value) == 2 else ", ").join(map(plainly, value))
    if isinstance(value, float):
        return number(value)
    return WORDS.get(str(value), str(value))
