"""The privacy part of `evaluate`: what it is given, and that its outcome is the documented JSON."""

import json

import numpy as np

from medgan.base import files
from medgan.evaluation import analyses, hypothesis_tests
from medgan.evaluation import privacy as screen
from medgan.evaluation.data import EvaluationData
from medgan.preparation.images import concatenate_images
from tests.evaluation.test_privacy import HELD_OUT, TRAIN, copies
from tests.test_docs import documented, paths


def test_a_copycat_fails_in_evaluate_and_the_outcome_has_the_documented_keys(monkeypatch):
    monkeypatch.setattr(hypothesis_tests, "_RESAMPLES", 50)
    monkeypatch.setattr(screen, "_SPACES_WANTED", ("radiomics",))
    images = EvaluationData(
        train=TRAIN,
        val=HELD_OUT.take(range(30)),
        test=HELD_OUT.take(np.arange(30, 60)),
        synthetic=copies(20),
        unseen="",
        sources={},
    )
    assert len(concatenate_images(images.val, images.test)) == 60
    given = analyses.AnalysisInput(images=images, effort="quick", seed=0, runs={}, on_progress=lambda _: None)
    report = json.loads(json.dumps(files.to_json(analyses.PARTS["privacy"](given))))
    assert report["verdict"] == "failed"
    assert paths(report, {}) | {"notes[]"} == documented("Privacy")
