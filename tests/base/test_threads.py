"""Small networks take one core, and give torch the others back."""

import numpy as np
import pytest
import torch

from medgan.base.threads import use_threads
from medgan.similarity.domain_features import learn_domain_features
from tests.evaluation.phantoms import drawn


def test_one_thread_is_given_back_after_an_error(threads):
    def fail():
        with use_threads(1):
            assert torch.get_num_threads() == 1
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()


def test_the_domain_network_learns_and_looks_on_one_core(threads, monkeypatch):
    seen = set()
    convolve = torch.nn.Conv2d.forward

    def forward(self, x):
        seen.add(torch.get_num_threads())
        return convolve(self, x)

    monkeypatch.setattr(torch.nn.Conv2d, "forward", forward)
    train = drawn((8, 8), 0)
    look = learn_domain_features(train, 0, steps=2)
    assert seen == {1}
    found = look(train.pixels)
    assert seen == {1}
    with use_threads(1):
        np.testing.assert_array_equal(found, learn_domain_features(train, 0, steps=2)(train.pixels))
