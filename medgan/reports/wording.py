"""Words for a clinician in the place of names that code gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

METHODS = {
    "real": "real images only",
    "class weights": "real images, errors in rare classes weigh more",
    "balanced softmax": "real images, rare classes handicapped while learning",
    "oversampling": "real images, rare ones shown more often",
    "classical": "real images, varied (shifted, turned)",
    "oversampling + classical": "real images, rare ones shown more often, all varied",
    "duplicates": "real images, rare ones repeated",
    "mixup": "real images, blended in pairs",
    "composites": "real images, and some composed of two patients",
    "discriminant": "real images, linear discriminant analysis",
    "smote": "real images, rare ones interpolated (SMOTE)",
    "one-sided": "synthetic images in rare classes alone",
    "share 0.25": "a quarter synthetic in every class",
    "share 0.5": "half synthetic in every class",
    "share 0.25 at weight 0.3": "a quarter synthetic, weighing 0.3",
    "finish on real": "half synthetic, then real ones only",
    "pretrain": "synthetic first, then real ones only",
}
"""{arm of an evaluation: how a classifier was trained in it}."""
VARIED = " + classical"
ROLES = {"named": "named before the test", "reference": "best without synthetic images", "": "exploration"}
"""{role of an arm: what it is for}."""
JUDGES = {
    "finetuned": "Pretrained network, fine-tuned",
    "probe": "Linear layer on features of a pretrained network",
    "cnn": "Small network trained from scratch",
}
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
    "no-difference": ("even", "No difference", "Real images alone do as well, within one point of AUPRC."),
    "harms": ("bad", "Harms", "The classifier did worse on real test patients with synthetic images."),
    "cannot-tell": ("none", "Cannot tell", "Too few held-out patients have the rare class for a verdict."),
}
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


def method(name: str) -> str:
    """How a classifier was trained, in words."""
    plain = name.removesuffix(VARIED)
    return METHODS.get(name) or METHODS.get(plain, plain) + (", all varied" if plain != name else "")


def schedule(told: Mapping[str, Any]) -> str:
    """How fast and how long an arm learned."""
    if told.get("steps") is None:
        return "" if told.get("penalty") is None else f"penalty {told['penalty']:g}"
    return f"{told['steps']} steps at {told['rate']:g}"


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
