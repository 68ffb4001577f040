"""A command that is given a model of another kind names the command that fits."""

from pathlib import Path

import pytest

from medgan.base.errors import ModelError, OutputError
from medgan.learners.kinds import ANOMALY, GAN, KINDS, TASKS, require_kind, require_run_of_kind

PLACE = Path("my run")


def test_every_kind_has_words_a_command_and_a_task():
    assert set(KINDS) == set(TASKS)
    assert all("{model}" in command for _, command in KINDS.values())


def test_an_older_model_states_no_kind_and_is_a_generator():
    require_kind({}, GAN, PLACE)
    require_kind({"kind": "anomaly"}, ANOMALY, PLACE)
    require_run_of_kind({}, GAN, PLACE)


@pytest.mark.parametrize(
    ("record", "wanted", "command"),
    [({}, ANOMALY, "medgan sample 'my run'"), ({"kind": "anomaly"}, GAN, "--model 'my run'")],
)
def test_another_kind_is_refused_by_the_command_that_fits(record, wanted, command):
    with pytest.raises(ModelError, match="this model is") as refused:
        require_kind(record, wanted, PLACE)
    assert command in refused.value.hint


@pytest.mark.parametrize("kind", ["telepathy", 3, None])
def test_a_kind_of_a_newer_version_asks_for_an_update(kind):
    with pytest.raises(ModelError, match="does not know"):
        require_kind({"kind": kind}, GAN, PLACE)


def test_a_run_of_another_kind_is_not_continued():
    with pytest.raises(OutputError, match="train --for anomaly"):
        require_run_of_kind({"kind": "anomaly"}, GAN, PLACE)
