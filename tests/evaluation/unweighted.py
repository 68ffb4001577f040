"""Scores of features with every image counted once, for tests and benchmarks."""

import numpy as np

from medgan.evaluation import feature_scores


def once(real, synthetic):
    return np.ones((1, len(real))), np.ones((1, len(synthetic)))


def kid(real, synthetic):
    return float(feature_scores.kid_under(real, synthetic, *once(real, synthetic))[0])


def sliced_wasserstein(real, synthetic):
    return float(feature_scores.sliced_wasserstein_under(real, synthetic, *once(real, synthetic))[0])


def neighbourhood(real, synthetic):
    under = feature_scores.neighbourhood_under(real, synthetic, *once(real, synthetic))
    return {name: float(values[0]) for name, values in under.items()}
