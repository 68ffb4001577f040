"""What an image is can be decided, and scans prepared, without a word on how a GAN learns."""

import dataclasses

import numpy as np
import pytest

from medgan.base.errors import PlanError
from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.plan import Frame, Overrides, decide, decide_frame
from medgan.preparation.stack import find_stack, prepare
from medgan.scans.scan import OutputFormat
from tests.commands.blobs import discs
from tests.test_plan import CT, SPACED, facts

FRAME = Frame(
    labels=("covid", "normal"),
    size=(8, 12),
    channels=1,
    geometry="stretch",
    mm_per_pixel=None,
    form=OutputFormat(format="png", low=0, high=255, unit="stored"),
)


def test_images_are_prepared_by_a_frame_alone(tmp_path):
    scans = index(discs(tmp_path / "scans", normal=2, covid=1))
    stack = prepare(scans, FRAME, tmp_path / "cache")
    assert stack.pixels.shape == (3, *FRAME.shape)
    assert stack.names == FRAME.labels
    assert stack.images(slice(None)).max() > 0
    found = find_stack(scans.digest, FRAME, tmp_path / "cache")
    np.testing.assert_array_equal(found.pixels, stack.pixels)


def test_plans_of_one_frame_share_the_prepared_images(tmp_path):
    scans = index(discs(tmp_path / "scans", normal=3, covid=2))
    plans = [decide(measure(scans), Overrides(arch=arch, size=(16, 24))) for arch in ("repaired", "dcgan")]
    first, second = (prepare(scans, plan.frame, tmp_path / "cache").digest for plan in plans)
    assert first == second


@pytest.mark.parametrize(
    ("changes", "wish"),
    [({}, {}), (SPACED, {"effort": "smoke"}), ({}, {"size": (100, 100)}), ({}, {"arch": "dcgan"})],
)
@pytest.mark.parametrize("scans", [facts(), CT], ids=["gray", "CT"])
def test_it_is_the_frame_of_the_plan(scans, changes, wish):
    fingerprint, overrides = dataclasses.replace(scans, **changes), Overrides(**wish)
    assert decide_frame(fingerprint, overrides) == decide(fingerprint, overrides).frame


def test_a_class_of_one_image_has_a_frame_though_no_plan():
    few = facts(training={"normal": 5, "rare": 1})
    assert decide_frame(few).labels == ("normal", "rare")
    with pytest.raises(PlanError, match="a generator could only copy it"):
        decide(few)


def test_values_without_a_common_range_have_no_frame():
    with pytest.raises(PlanError, match="mixed with other scans"):
        decide_frame(facts(meanings={"HU": 5, "raw": 2}))
