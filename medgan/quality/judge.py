"""Real images in numbers -> a judge of classes: what an image resembles, and how sure that must be before it counts against it.

Multinomial logistic regression on layout and texture, in which every class weighs the same. It is trusted as far as it deserves: where it
mistakes real images of a class that it has not seen for another, it must be surer still before a synthetic image is dropped for that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from medgan.quality.looks import Points

SURE = 0.7
"""Probability of another class above which an image counts as one of that, at least."""
SPARED = 0.95
"""Share of unseen real images of a class that the judge must not drop."""
DECAY = 1e-2
"""Weight of the squared coefficients."""
FOLDS = 5
OUTLIER = 3.0
"""Standard deviations beyond which a feature tells no more: what is drawn may lie far outside what is real."""
TINY = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judge:
    """A judge of K classes that has seen the training images."""

    mean: Points
    scale: Points
    """(D,): mean and 1 / deviation of each feature over the training images."""
    weights: Points
    """(D + 1, K): coefficients, the last row without a feature."""
    sure: Points
    """(K,): how probable another class must be for an image of this class to be dropped."""

    @classmethod
    def of(
        cls, points: Points, labels: NDArray[np.int64], patients: NDArray[np.str_], classes: int
    ) -> Judge | None:
        """Learn from `points` (N, D); None where there is one class only."""
        if len(np.unique(labels)) < 2:
            return None
        spread = points.std(axis=0)
        mean, scale = (
            points.mean(axis=0),
            np.divide(1, spread, out=np.zeros_like(spread), where=spread > TINY),
        )
        inputs = seen(points, mean, scale)
        doubt = np.zeros(len(labels))
        fold = np.unique(patients, return_inverse=True)[1] % FOLDS
        for number in np.unique(fold):
            out = fold == number
            doubt[out & ~np.isin(labels, labels[~out])] = 1.0  # a class it knows nothing of
            if len(np.unique(labels[~out])) > 1:
                chances = probabilities(inputs[out], learned(inputs[~out], labels[~out], classes))
                doubt[out] = np.maximum(doubt[out], of_another(chances, labels[out]))
        sure = [
            max(SURE, float(np.quantile(doubt[labels == one], SPARED))) if (labels == one).any() else 1.0
            for one in range(classes)
        ]
        return cls(mean=mean, scale=scale, weights=learned(inputs, labels, classes), sure=np.array(sure))

    def chances(self, points: Points) -> Points:
        """(M, D) -> (M, K): how probable each class is."""
        return probabilities(seen(points, self.mean, self.scale), self.weights)

    def objects(self, chances: Points, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of M images it takes, surely enough, for another class than `labels` (M,) say."""
        return of_another(chances, labels) > self.sure[labels]


def seen(points: Points, mean: Points, scale: Points) -> Points:
    """Standardised, extremes cut off, and a column of ones."""
    inputs = np.clip((points - mean) * scale, -OUTLIER, OUTLIER)
    return np.concatenate([inputs, np.ones((len(points), 1))], axis=1)


def learned(inputs: Points, labels: NDArray[np.int64], classes: int) -> Points:
    """Coefficients (D + 1, K) of least cross-entropy, each class weighing the same, by L-BFGS from zero: no chance in it."""
    x, y = torch.from_numpy(inputs), torch.from_numpy(labels)
    counts = torch.bincount(y, minlength=classes)
    balance = torch.where(counts > 0, 1 / counts.clamp(min=1), 0.0).double()
    weights = torch.zeros(x.shape[1], classes, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = F.cross_entropy(x @ weights, y, weight=balance) + DECAY * (weights[:-1] ** 2).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    found: Points = weights.detach().numpy()
    return found


def probabilities(inputs: Points, weights: Points) -> Points:
    """(M, K), each row summing to 1."""
    logits = inputs @ weights
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Points = powers / powers.sum(axis=1, keepdims=True)
    return shares


def of_another(chances: Points, labels: NDArray[np.int64]) -> Points:
    """(M,): probability of the likeliest class other than the image's own."""
    others = chances.copy()
    others[np.arange(len(labels)), labels] = 0
    largest: Points = others.max(axis=1)
    return largest
