"""The numbers of a log line, those of guards and classes too, become tags of TensorBoard."""

import json

from medgan.learners.gan.guards import Check
from medgan.training.tensorboard_log import _scalars


def test_every_number_of_a_log_line_is_shown_those_of_guards_by_class():
    look = Check(
        images_shown=64,
        overfit=None,
        variety={"covid": 0.9, "normal": 0.8},
        copies={"covid": 0.0},
        kid={"covid": 0.1},
    )
    row = {
        "images_shown": 64,
        "critic_loss": None,
        "distance": 0.2,
        "words": "well",
        "alarms": [],
        "guards": look.facts(),
    }
    shown = dict(_scalars(json.loads(json.dumps(row))))
    assert shown["distance"] == 0.2
    assert shown["guards/variety/covid"] == 0.9
    assert shown["guards/copies/covid"] == 0.0
    assert shown["guards/kid/covid"] == 0.1
    assert not {"words", "alarms", "critic_loss", "guards/overfit"} & shown.keys()


def test_a_tick_without_a_look_shows_the_rest():
    assert dict(_scalars({"images_shown": 64, "guards": None, "distance": 0.2})) == {
        "images_shown": 64,
        "distance": 0.2,
    }
