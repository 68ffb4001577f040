"""An image of any size that is asked for, from training to the evidence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medgan.base.job import ALONE
from medgan.commands.balance import balance
from medgan.commands.options import BalanceOptions
from medgan.commands.train import train
from medgan.dataset.source import Source
from medgan.evaluation.data import Request, load_evaluation_data
from medgan.evaluation.options import EvidenceOptions
from medgan.learners.gan.model import Model
from medgan.plan import Overrides
from medgan.scans import raster
from tests.commands.blobs import discs, rows_of

SIZE, GRID = (17, 30), (24, 32)
QUICK = Overrides(effort="smoke", size=SIZE, images=32, batch=8, device="cpu", features="none")


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return discs(tmp_path_factory.mktemp("scans"), normal=5, covid=2)


@pytest.fixture(scope="module", params=["repaired", "dcgan"])
def run(request, scans, tmp_path_factory):
    """A finished run of each network."""
    out = tmp_path_factory.mktemp(request.param) / "run"
    train(scans, out, overrides=replace(QUICK, arch=request.param))
    return out


def test_the_model_says_at_what_size_it_draws_and_at_what_it_works(run):
    plan = Model.load(run).plan
    assert (plan.frame.size, plan.recipe.image_grid) == (SIZE, GRID)
    assert plan.why["size"] == "override: as asked, drawn at 24 x 32 and resampled"


def test_the_same_command_finds_its_run_done(run, scans):
    again = train(scans, run, overrides=replace(QUICK, arch=Model.load(run).plan.recipe.arch))
    assert again.model_digest == Model.load(run).digest


def test_real_and_synthetic_images_have_the_size_that_was_asked_for(run, scans, tmp_path):
    out = balance(scans, tmp_path / "out", options=BalanceOptions(model=run)).out
    rows = rows_of(out)
    assert {row["origin"] for row in rows} == {"real", "synthetic"}
    for row in rows:
        assert (int(row["rows"]), int(row["columns"])) == SIZE
        assert raster.read_header(out / row["path"]).shape == (1, *SIZE)
    for request in (Request(source=Source(path=out)), Request(source=scans, synthetic=out)):
        gathered = load_evaluation_data(request, ALONE)
        assert gathered.train.pixels.shape[1:] == gathered.synthetic.pixels.shape[1:] == (1, *SIZE)


def test_a_model_is_judged_at_its_size(run, scans):
    gathered = load_evaluation_data(
        Request(source=scans, model=run, per_class=4, evidence=EvidenceOptions(no_filter=True)), ALONE
    )
    assert gathered.synthetic.pixels.shape[1:] == (1, *SIZE)
    assert np.isfinite(gathered.synthetic.pixels).all()
