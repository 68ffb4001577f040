"""Images of a known distribution, blurred discs of two classes by size, and generators of known faults."""

import numpy as np

from medgan.preparation.images import LabelledImages

NAMES = ("large", "small")
SIDE = 32


def discs(count, seed, *, label=0, spread=1.0):
    """(count, 1, 32, 32): discs that vary in place, size, brightness and texture; `spread` 0 draws one and
    the same."""
    chance = np.random.default_rng((seed, label))
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    images = []
    for _ in range(count):
        at = SIDE / 2 + spread * chance.uniform(-5, 5, 2)
        radius = (9, 5)[label] + spread * chance.uniform(-2, 2)
        bright = 0.6 + spread * chance.uniform(-0.2, 0.2)
        edge = np.hypot(y - at[0], x - at[1]) - radius
        images.append(0.15 + bright / (1 + np.exp(edge)) + 0.03 * chance.normal(size=(SIDE, SIDE)))
    return np.clip(images, 0, 1).astype(np.float32).reshape(-1, 1, SIDE, SIDE)


def noise(count, seed):
    """Uniform noise."""
    return np.random.default_rng(seed).uniform(0, 1, (count, 1, SIDE, SIDE)).astype(np.float32)


def gathered(*by_class, word="p", per_patient=1):
    """One set of the classes' arrays (n, 1, H, W), `per_patient` images to a patient."""
    labels = np.repeat(np.arange(len(by_class)), [len(pixels) for pixels in by_class])
    return LabelledImages(
        pixels=np.concatenate(by_class),
        labels=labels.astype(np.int64),
        names=NAMES[: len(by_class)],
        patients=np.array([f"{word}{row // per_patient}" for row in range(len(labels))]),
        sources=np.array([f"{word}{row}.png" for row in range(len(labels))]),
    )


def drawn(counts, seed, *, word="p", per_patient=1, **how):
    """A set from the true distribution."""
    classes = [discs(count, seed, label=label, **how) for label, count in enumerate(counts)]
    return gathered(*classes, word=word, per_patient=per_patient)
