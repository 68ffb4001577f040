import numpy as np
import pytest
import torch

from medgan.base.errors import ModelError
from medgan.learners.gan.film import class_weights, draw_frames, walk_latents
from medgan.learners.gan.latents import latent_of
from medgan.learners.gan.model import Model
from medgan.learners.gan.sample import draw
from medgan.learners.gan.steps import build_generator
from medgan.plan import Overrides, decide
from tests.learners.gan.phantoms import ABOUT
from tests.test_plan import facts

KINDS = {
    "one stage": {"size": (32, 32), "arch": "repaired"},
    "with detail": {"size": (96, 90), "arch": "repaired"},
    "dcgan": {"size": (32, 32), "arch": "dcgan"},
}


def born(folder, *, size, arch, tones=False):
    """A model that never trained, with weights so loud that its classes differ."""
    plan = decide(facts(), Overrides(size=size, arch=arch, device="cpu", precision="fp32"))
    torch.manual_seed(0)
    network = build_generator(plan)
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(0.05 * torch.randn_like(weights))
    curves = None
    if tones:
        curve = np.stack([np.linspace(-1, 1, 257), np.linspace(-1, 1, 257) ** 3])
        flat = np.stack([np.linspace(-1, 1, 257), np.linspace(-0.5, 0.5, 257)])
        curves = np.stack([[curve], [flat]] * 4)[: len(plan.frame.labels)].astype(np.float32)
    return Model.save(folder, network, plan, {**ABOUT, "images_shown": 1}, curves)


@pytest.fixture(scope="module", params=KINDS)
def model(request, tmp_path_factory):
    return born(tmp_path_factory.mktemp("model"), **KINDS[request.param])


def frames(model, latents, weights):
    return np.stack(list(draw_frames(model, latents, weights, "cpu")))


def one_class(model, label, count):
    return class_weights(model.plan, (label,), count)


@pytest.mark.parametrize("tones", [False, True])
def test_a_walk_passes_through_the_images_that_sample_writes(model, tmp_path, tones):
    model = born(tmp_path, size=model.plan.frame.size, arch=model.plan.recipe.arch, tones=tones)
    label = model.labels[-1]
    shown = frames(model, walk_latents(model.plan, [3, 4, 5], 4), one_class(model, label, 12))
    for frame, sample in zip(shown[::4], draw(model, label, [3, 4, 5], device="cpu"), strict=True):
        np.testing.assert_allclose(frame, sample.pixels, atol=1e-5)


def test_a_walk_stays_on_the_sphere_is_smooth_and_closed(model):
    walk = walk_latents(model.plan, range(5), 16)
    latent = model.plan.recipe.latent
    for part in (walk[:, :latent], walk[:, latent:]):
        if not part.shape[1]:
            continue
        lengths = part.norm(dim=1)
        assert lengths.min() >= lengths[::16].min() * 0.999
        assert lengths.max() <= lengths[::16].max() * 1.001
        steps = (part.roll(-1, 0) - part).norm(dim=1)
        assert steps.max() < 3 * steps.median()  # also from the last frame to the first
        turns = torch.cosine_similarity(part.roll(-1, 0) - part, part - part.roll(1, 0), dim=1)
        assert turns.min() > 0.8  # no corner, not at a seed either
    assert torch.equal(walk[16], latent_of(model.plan, 1)[0])


def test_classes_change_evenly_and_come_back(model):
    first, second = model.labels[:2]
    weights = class_weights(model.plan, (second, first), 4)[:, :2]
    assert weights.tolist() == [
        [0, 1], [0.25, 0.75], [0.5, 0.5], [0.75, 0.25], [1, 0], [0.75, 0.25], [0.5, 0.5], [0.25, 0.75]
    ]  # fmt: skip


def test_pure_frames_of_a_class_change_are_images_of_the_classes_and_those_between_are_drawn(model):
    labels = model.labels[:2]
    weights = class_weights(model.plan, labels, 2)
    shown = frames(model, latent_of(model.plan, 7).repeat(4, 1), weights)
    pure = [next(draw(model, label, [7], device="cpu")).pixels for label in labels]
    for frame, image in zip(shown[::2], pure, strict=True):
        np.testing.assert_allclose(frame, image, atol=1e-5)
    np.testing.assert_allclose(shown[1], shown[3], atol=1e-5)
    blend, change = (pure[0] + pure[1]) / 2, np.abs(pure[0] - pure[1]).mean()
    assert change > 1e-3
    assert np.abs(shown[1] - blend).mean() > 1e-3 * change  # the network is not linear in the class


def test_between_two_classes_a_layout_starts_from_mixed_means_and_roots(tmp_path):
    model = born(tmp_path, **KINDS["one stage"])
    outline, z = model.network.outline, torch.randn(1, model.plan.recipe.latent)
    mixture = torch.zeros(1, len(model.labels))
    mixture[0, :2] = torch.tensor([0.25, 0.75])
    roots = 0.25 * outline.roots[0] + 0.75 * outline.roots[1]
    mean = 0.25 * outline.mean[0] + 0.75 * outline.mean[1]
    expected = mean + outline.directions @ roots @ z[0]
    torch.testing.assert_close(outline(z, mixture).flatten(), expected)


def test_frames_are_the_same_whatever_their_number(model):
    latents, weights = walk_latents(model.plan, range(3), 12), one_class(model, model.labels[0], 36)
    whole = frames(model, latents, weights)
    np.testing.assert_allclose(frames(model, latents[20:23], weights[20:23]), whole[20:23], atol=1e-5)


def test_a_model_whose_sums_overflow_is_refused(tmp_path):
    model = born(tmp_path, **KINDS["one stage"])
    with torch.no_grad():
        for weights in model.network.parameters():
            weights.fill_(1e38)
    with pytest.raises(ModelError, match="cannot draw a film"):
        frames(model, latent_of(model.plan, 0), one_class(model, model.labels[0], 1))
