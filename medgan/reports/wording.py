"""Words for a clinical reader in the place of names from the code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_METHODS = {
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
"""{arm: how its classifiers were trained}."""
_CLASSICAL = " + classical"
ROLES = {"named": "named before the test", "reference": "best without synthetic images", "": "exploration"}
"""{role of an arm: words for it}."""
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
"""{feature space: words for it}."""
TESTS = {
    "T1": "Copies by correlation",
    "T2": "Nearer to a patient than strangers are",
    "T3": "Share that resembles no training image too much",
    "T4": "Nearer to training images than unseen patients are",
    "T5": "Guessing who was in the training set",
}
"""{test of the privacy screen: words for what it looks for}."""
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
"""{score: (words with its usual name, the question that it answers)}."""
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
"""{verdict of a part: its tone}; the tone of any other verdict is "bad"."""
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
"""{sign that may give a class away: words for it}."""
_VALUES = {"True": "yes", "False": "no", "None": "-"}


def method(name: str) -> str:
    """Words for how the classifiers of an arm were trained."""
    plain = name.removesuffix(_CLASSICAL)
    return _METHODS.get(name) or _METHODS.get(plain, plain) + (", all varied" if plain != name else "")


def schedule(told: Mapping[str, Any]) -> str:
    """Words for the learning rate and steps, or the penalty, of an arm."""
    if told.get("steps") is None:
        return "" if told.get("penalty") is None else f"penalty {told['penalty']:g}"
    return f"{told['steps']} steps at {told['rate']:g}"


def number(value: float | None) -> str:
    """Format a number with three significant digits."""
    return "-" if value is None else f"{value:.3g}"


def percent(value: float) -> str:
    """Format a share as whole per cent."""
    return f"{value:.0%}"


def format_value(value: Any) -> str:
    """Format a value of a part's JSON as short text."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {format_value(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return (" to " if len(value) == 2 else ", ").join(map(format_value, value))
    if isinstance(value, float):
        return number(value)
    return _VALUES.get(str(value), str(value))
