from __future__ import annotations

import json

import pytest
import torch

from medgan.base.errors import ModelError
from medgan.learners.gan.model import Model
from medgan.learners.gan.networks import Generator
from tests.learners.gan.phantoms import ABOUT, tiny_plan


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    plan = tiny_plan()
    Model.save(tmp_path / "model", Generator(plan), plan, {**ABOUT, "images_shown": 160})
    return tmp_path / "model"


def test_model_is_three_files_and_none_is_a_pickle(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        "card.md",
        "generator.safetensors",
        "model.json",
    ]
    assert b"pickle" not in (folder / "generator.safetensors").read_bytes()


def test_saved_model_comes_back_equal(folder):
    model = Model.load(folder)
    assert model.plan == tiny_plan()
    assert model.labels == ("left", "right")
    assert (model.data_digest, model.images_shown) == ("d" * 64, 160)
    assert Model.load(folder.parent).digest == model.digest  # the run folder will do


def test_card_says_data_plan_intended_use_and_limits(folder):
    text = (folder / "card.md").read_text()
    for word in (
        "| left | 12 |",
        "Intended use",
        "Not for clinical use",
        "override: as asked",
        Model.load(folder).digest,
    ):
        assert word in text


def damage(path, change):
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))


def test_model_whose_plan_does_not_speak_of_outlines_begins_with_those_of_its_time(tmp_path):
    plan = tiny_plan(size=(32, 24), widths=(12, 8, 8, 8), gaussian_level=2)
    model = Model.save(tmp_path, Generator(plan).eval(), plan, {**ABOUT, "images_shown": 1})
    damage(tmp_path / "model.json", lambda facts: facts["plan"].pop("outlined"))
    old, z, labels = Model.load(tmp_path), torch.randn(2, plan.recipe.latent), torch.tensor([0, 1])
    assert old.network.outline.shape == (1, 16, 12)
    assert torch.equal(old.network(z, labels), model.network(z, labels))


def test_model_of_a_newer_version_is_refused_with_the_way_out(folder):
    damage(folder / "model.json", lambda facts: facts.update(version=99, medgan="9.9"))
    with pytest.raises(ModelError, match="newer medgan") as caught:
        Model.load(folder)
    assert "git pull" in caught.value.hint


def test_swapped_weights_are_noticed(folder):
    torch.manual_seed(1)
    other = Model.save(
        folder.parent / "other", Generator(tiny_plan()), tiny_plan(), {**ABOUT, "images_shown": 1}
    )
    (folder / "generator.safetensors").write_bytes((other.folder / "generator.safetensors").read_bytes())
    with pytest.raises(ModelError, match="do not match the digest"):
        Model.load(folder)


@pytest.mark.parametrize("name", ["model.json", "generator.safetensors"])
def test_damaged_file_is_told(folder, name):
    (folder / name).write_bytes(b"{")
    with pytest.raises(ModelError, match=r"damaged|cannot be read"):
        Model.load(folder)


def test_missing_model_and_unfinished_run_have_their_own_sentences(tmp_path):
    with pytest.raises(ModelError, match="no model here"):
        Model.load(tmp_path)
    (tmp_path / "state.pt").touch()
    with pytest.raises(ModelError, match="not finished") as caught:
        Model.load(tmp_path)
    assert "Repeat the train command" in caught.value.hint


def test_unknown_key_in_the_plan_is_damage_not_a_crash(folder):
    damage(folder / "model.json", lambda facts: facts["plan"].update(surprise=1))
    with pytest.raises(ModelError, match=r"cannot be read.*'surprise'"):
        Model.load(folder)
