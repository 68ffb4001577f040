from __future__ import annotations

import torch

from medgan.learners.gan import augment


def test_strength_zero_gives_the_images_back():
    images = torch.randn(3, 1, 8, 10)
    assert augment.augment(images, 0.0) is images


def test_augmentation_is_differentiable_everywhere():
    images = torch.randn(4, 3, 16, 12, requires_grad=True)
    torch.manual_seed(0)
    augment.augment(images, 1.0).sum().backward()
    assert images.grad is not None
    assert (images.grad.flatten(1).abs().sum(dim=1) > 0).all()


def test_shift_moves_whole_images_by_whole_pixels_and_mirrors_the_border():
    torch.manual_seed(0)
    image = torch.arange(16.0)[None, None, None].expand(64, 1, 16, 16)
    moved = augment._shift_images(image, 1.0)
    reach = round(16 * augment._SHIFT)
    starts = set()
    for row in moved[:, 0]:
        assert torch.equal(row, row[:1].expand(16, 16))  # columns move together
        middle = row[0, reach:-reach]
        assert torch.equal(middle.diff(), torch.ones(len(middle) - 1))
        starts.add(int(middle[0]) - reach)
    assert starts == set(range(-reach, reach + 1))


def test_cutout_spares_half_of_the_images_and_cuts_rectangles_of_one_size():
    torch.manual_seed(0)
    cut = (augment._cut_out(torch.ones(2000, 1, 20, 20), 1.0) == 0).flatten(1).sum(dim=1)
    spared = (cut == 0).float().mean().item()
    assert 0.45 < spared < 0.55
    assert cut.max() <= (20 * augment._CUTOUT + 1) ** 2


def test_brightness_and_contrast_keep_within_their_reach():
    torch.manual_seed(0)
    images = torch.full((500, 1, 4, 4), 0.25)
    change = augment._vary_brightness(images, 1.0) - images
    assert change.abs().max() <= augment._BRIGHTNESS
    assert change.flatten(1).std(dim=1).max() < 1e-6  # one number per image
    striped = torch.tensor([-1.0, 1.0]).repeat(8)[None, None, None].expand(500, 1, 4, 16)
    spread = augment._vary_contrast(striped, 1.0).flatten(1).std(dim=1) / striped[0].std()
    assert (spread - 1).abs().max() <= augment._CONTRAST + 1e-5


def test_nothing_is_ever_flipped():
    torch.manual_seed(0)
    ramp = torch.linspace(-1, 1, 32)[None, None, None].expand(200, 1, 32, 32)
    changed = augment.augment(ramp, 1.0)
    assert (changed[..., 20:26].mean(dim=(1, 2, 3)) > changed[..., 6:12].mean(dim=(1, 2, 3))).all()
