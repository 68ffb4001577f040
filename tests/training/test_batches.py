from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from medgan.base.errors import PlanError
from medgan.base.processes import Processes
from medgan.training.batches import (
    TrainingRows,
    _class_probabilities,
    _rows_at,
    batch_at,
    prefetch_at,
    share_of_batch,
)
from tests.learners.gan.phantoms import dcgan_plan, tiny_plan, tiny_stack


def test_position_and_seed_decide_the_batch():
    pool = TrainingRows.of(tiny_stack())
    first = _rows_at(pool, 8, 0.5, (3, 80))
    assert np.array_equal(first, _rows_at(pool, 8, 0.5, (3, 80)))
    assert not np.array_equal(first, _rows_at(pool, 8, 0.5, (3, 88)))
    assert not np.array_equal(first, _rows_at(pool, 8, 0.5, (4, 80)))


def test_classes_are_shown_as_they_are_by_square_roots_or_all_alike():
    counts = np.array([900, 100])
    assert _class_probabilities(counts, 0.0) == pytest.approx([0.9, 0.1])
    assert _class_probabilities(counts, 0.5) == pytest.approx([0.75, 0.25])
    assert _class_probabilities(counts, 1.0) == pytest.approx([0.5, 0.5])


def test_groups_are_of_one_class_and_batches_as_mixed_as_chances_say():
    labels = np.repeat(np.arange(3), (400, 90, 10))
    pool = TrainingRows.of(dataclasses.replace(tiny_stack(500), labels=labels, names=("a", "b", "c")))
    for position in range(0, 960, 48):
        groups = labels[_rows_at(pool, 48, 1.0, (0, position), group=8)].reshape(6, 8)
        assert (groups == groups[:, :1]).all()
        assert np.bincount(groups[:, 0], minlength=3).tolist() == [2, 2, 2]


def test_a_batch_that_groups_do_not_divide_ends_with_a_smaller_group():
    assert len(_rows_at(TrainingRows.of(tiny_stack()), 13, 1.0, (0, 0), group=8)) == 13


def test_every_image_of_a_rare_class_has_its_turn():
    stack = tiny_stack(55)
    pool = TrainingRows.of(dataclasses.replace(stack, labels=np.array([0] * 50 + [1] * 5)))
    seen = set(np.concatenate([_rows_at(pool, 16, 1.0, (0, position)) for position in range(0, 1600, 16)]))
    assert seen == set(range(55))


def test_batch_is_between_minus_one_and_one_with_its_labels():
    stack = tiny_stack()
    images, labels = batch_at(TrainingRows.of(stack), tiny_plan(batch=6), 0.0, (0, 0))
    assert images.shape == (6, 1, 16, 12)
    assert images.dtype == np.float32
    assert -1 <= images.min() < 0 < images.max() <= 1
    for image, label in zip(images, labels, strict=True):
        assert (image[0, :, 6:].mean() > image[0, :, :6].mean()) == bool(label)


def test_the_span_of_the_plan_is_what_the_networks_see_as_minus_one_to_one():
    stack = tiny_stack()
    whole, _ = batch_at(TrainingRows.of(stack), tiny_plan(batch=6), 0.0, (0, 0))
    part, _ = batch_at(TrainingRows.of(stack), tiny_plan(batch=6, span=(0.25, 0.75)), 0.0, (0, 0))
    np.testing.assert_allclose(part, whole * 2, atol=1e-5)


def test_rows_that_are_held_back_are_never_shown():
    stack, seen = tiny_stack(), np.arange(24)[np.arange(24) % 3 > 0]
    kept = {image.tobytes() for image in batch_at_all(stack, seen)}
    held = {image.tobytes() for image in batch_at_all(stack, np.delete(np.arange(24), seen))}
    assert len(kept) == 16
    assert not kept & held


def batch_at_all(stack, seen):
    """Every image that forty batches of the rows `seen` show."""
    plan = tiny_plan(batch=16)
    return [
        image
        for position in range(0, 640, 16)
        for image in batch_at(TrainingRows.of(stack, seen), plan, 0.5, (0, position))[0]
    ]


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_the_shares_of_all_processes_are_the_batch_of_one(monkeypatch, size):
    pool, plan = TrainingRows.of(tiny_stack()), tiny_plan()
    whole, labels = batch_at(pool, plan, 0.5, (3, 80))
    parts = []
    for rank in range(size):
        monkeypatch.setattr(
            "medgan.training.batches.current_processes", lambda rank=rank: Processes(rank=rank, size=size)
        )
        parts.append(batch_at(pool, plan, 0.5, (3, 80)))
    assert np.array_equal(np.concatenate([images for images, _ in parts]), whole)
    assert np.array_equal(np.concatenate([classes for _, classes in parts]), labels)


def test_a_batch_that_cannot_be_shared_evenly_is_refused_with_one_that_can(monkeypatch):
    monkeypatch.setattr("medgan.training.batches.current_processes", lambda: Processes(rank=1, size=3))
    with pytest.raises(PlanError, match="3 processes cannot share a batch of 8 images evenly") as caught:
        share_of_batch(tiny_plan())
    assert "--batch 9" in caught.value.hint


def test_batch_statistics_are_not_split(monkeypatch):
    assert share_of_batch(dcgan_plan()) == slice(0, 8)
    monkeypatch.setattr("medgan.training.batches.current_processes", lambda: Processes(rank=0, size=2))
    with pytest.raises(PlanError, match="dcgan"):
        share_of_batch(dcgan_plan())


def test_what_is_expected_is_what_is_shown_next(monkeypatch):
    stack, plan = tiny_stack(), tiny_plan()
    told = []
    monkeypatch.setattr(type(stack), "expect", lambda _, rows: told.extend(rows))
    prefetch_at(TrainingRows.of(stack), plan, 1.0, (3, 80))
    images, labels = batch_at(TrainingRows.of(stack), plan, 1.0, (3, 80))
    assert np.array_equal(images, stack.images(told) * 2 - 1)
    assert np.array_equal(labels, stack.labels[told])
