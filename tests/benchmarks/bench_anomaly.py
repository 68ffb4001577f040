"""What `anomaly` tells apart, how often unseen normal patients alarm, and what that costs in CPU seconds.

Run by `make bench NAME=anomaly`. MEDGAN_CXR is a folder with train/ and test/ and a class NORMAL;
MEDGAN_GLIOMA has labels.csv, the class no_tumour, and masks/ of the same names as its slices. Without them
there is nothing to measure.

The first part trains on train and scores test, as the commands do, and again with stretched images, as an
experiment. The second draws 20 times which fifth of the normal train patients is new, and counts their
alarms. The third compares maps of tumour slices with the masks, pixel by pixel; so few patients calibrate
nothing, so its memory learns from all normal slices of train.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score

from medgan.base.progress import ignore
from medgan.dataset.index import index
from medgan.dataset.manifest import Holdout, Manifest
from medgan.dataset.source import Source
from medgan.learners.anomaly import images
from medgan.learners.anomaly.calibration import PARTS, calibration_size, p_value
from medgan.learners.anomaly.fit import fit_anomaly
from medgan.learners.anomaly.gaussian import Gaussian, shrink_images
from medgan.learners.anomaly.images import cut
from medgan.learners.anomaly.memory import CellFeatures, Memory, image_scores
from medgan.learners.anomaly.model import AnomalyFacts, AnomalyModel
from medgan.scans import geometry

SPLITS = 20
ALPHA = 0.05
FACTS = AnomalyFacts(
    version=1, kind="anomaly", medgan="", digest="", calibration_digest="", data_digest="", normal="",
    images=0, patients=0, calibration_patients=0, meaning="stored", window=None, holdout=Holdout(), seed=0,
)  # fmt: skip


def folder_of(name: str) -> Path:
    """The folder that a variable of the environment names."""
    if name not in os.environ:
        pytest.skip(f"{name} names no folder")
    torch.set_num_threads(1)
    return Path(os.environ[name])


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    """Chest X-rays."""
    return index(Source(path=folder_of("MEDGAN_CXR")))


def learn(manifest: Manifest, normal: str) -> AnomalyModel:
    """Learn the normal scans of train."""
    records = tuple(record for record in manifest.training() if record.label == normal)
    with tempfile.TemporaryDirectory() as folder:
        return fit_anomaly(manifest.root, records, replace(FACTS, normal=normal), Path(folder), ignore)


def whole_box(shape: tuple[int, int], _spacing: object) -> tuple[slice, slice]:
    """The whole image, which is then stretched to a square."""
    return slice(0, shape[0]), slice(0, shape[1])


def test_the_classes_told_apart_and_the_cost(manifest: Manifest) -> None:
    """Print AUROC and CPU seconds, on centre squares and stretched."""
    for name, box in (("centre square", images.centre_box), ("stretched", whole_box)):
        with mock.patch.object(images, "centre_box", box):
            began = time.process_time()
            model, features = learn(manifest, "NORMAL"), CellFeatures()
            fit = time.process_time() - began
            records = tuple(manifest.usable("test"))
            found = [model.score(cut(manifest.root, one, None).squares, features) for one in records]
            seconds = time.process_time() - began - fit
        sick = np.array([record.label != "NORMAL" for record in records])
        areas = {
            part: roc_auc_score(sick, np.array([one.parts[part].max() for one in found])) for part in PARTS
        }
        told = ", ".join(f"{part} {area:.3f}" for part, area in areas.items())
        print(f"{name}: {told}; fit {fit:.0f} s, {len(records)} scans {seconds:.0f} s of CPU", flush=True)


def test_the_false_alarms(manifest: Manifest) -> None:
    """Print the share of unseen normal patients that alarm, over random splits."""
    features = CellFeatures()
    records = [record for record in manifest.training() if record.label == "NORMAL"]
    who = np.array([record.patient for record in records])
    squares = np.concatenate([cut(manifest.root, record, None).squares for record in records])
    cells, small = features(squares), shrink_images(squares)
    shares = []
    for split in range(SPLITS):
        order = np.random.default_rng(split).permutation(sorted(set(who)))
        new, rest = order[: len(order) // 5], order[len(order) // 5 :]
        calibrate = rest[: calibration_size(len(rest))]
        learned = np.flatnonzero(~np.isin(who, [*new, *calibrate]))
        memory = Memory.fit([cells[learned]], len(learned), split)
        others = np.flatnonzero(~np.isin(np.arange(len(who)), learned))
        pooled = (cells.mean(dim=(1, 2)) - memory.mean) / memory.scale
        scores = {
            "memory": image_scores(memory.distances(cells[others])),
            "whole": torch.cdist(pooled[others], pooled[learned]).amin(dim=1).numpy(),
            "gaussian": Gaussian.fit(small[learned]).scores(small[others]),
        }
        by_patient = {
            part: {one: own[who[others] == one].max() for one in (*calibrate, *new)}
            for part, own in scores.items()
        }
        known = {part: np.array([own[one] for one in calibrate]) for part, own in by_patient.items()}
        p = [p_value(known, {part: own[one] for part, own in by_patient.items()}) for one in new]
        shares.append(float((np.array(p) <= ALPHA).mean()))
    error = np.std(shares, ddof=1) / SPLITS**0.5
    print(f"false alarms at {ALPHA}: {np.mean(shares):.3f}, standard error {error:.3f}, {SPLITS} splits")


def test_the_pixels_of_tumours() -> None:
    """Print how well maps, and plain brightness, tell pixels of tumours from others."""
    place, features = folder_of("MEDGAN_GLIOMA"), CellFeatures()
    manifest = index(Source(path=place, labels=place / "labels.csv"))
    normal = [one for one in manifest.training() if one.label == "no_tumour"]
    squares = np.concatenate([cut(place, record, None).squares for record in normal])
    memory = Memory.fit([features(squares)], len(squares), 0)
    hits, heats, grays = [], [], []
    for record in manifest.records:
        if record.ok and record.split != "train" and record.label == "tumour":
            shown = cut(place, record, None)
            distances = memory.distances(features(shown.squares))[0]
            with Image.open(place / "masks" / Path(record.path).name) as mask:
                hits.append(np.asarray(mask.convert("L"))[shown.box].ravel() > 0)
            gray = shown.gray[0][shown.box]
            heats.append(geometry.resize(distances, (gray.shape[0], gray.shape[1])).ravel())
            grays.append(gray.ravel())
    hit = np.concatenate(hits)
    areas = {
        name: roc_auc_score(hit, np.concatenate(own)) for name, own in (("map", heats), ("brightness", grays))
    }
    print(f"pixels of {len(hits)} tumour slices: " + ", ".join(f"{k} {v:.3f}" for k, v in areas.items()))
