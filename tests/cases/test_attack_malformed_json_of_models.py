"""A model folder from somebody else, whatever its JSON and weights say, is used or refused in a sentence."""

import contextlib
import itertools
import json
import shutil
import struct

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from medgan.base.errors import MedganError, ModelError
from medgan.base.files import digest_file
from medgan.commands.options import DrawOptions
from medgan.commands.sample import sample
from medgan.learners.gan.model import Model
from medgan.learners.gan.sample import draw
from tests.commands.blobs import discs, untrained

ODD = (
    None, True, -1, 0, 7, 10**6, 10**400, 0.5, -1e300, 1e300, float("nan"), float("inf"), "", "x", "\ud800",
    "../x", [], [[]], [1], ["a"], [-1, 10**9], {}, {"x": 1}, [{"alarms": 1}],
)  # fmt: skip


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    return untrained(folder / "model", discs(folder / "scans", normal=4, covid=3))


@pytest.fixture
def folder(original, tmp_path):
    shutil.copytree(original, tmp_path / "model")
    return tmp_path / "model"


def told(folder):
    return json.loads((folder / "model.json").read_text("utf-8"))


def tell(folder, facts):
    (folder / "model.json").write_text(json.dumps(facts), "utf-8")


def places(value, path=()):
    """The path of every key, at every depth."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key)
            yield from places(item, (*path, key))


def changed(facts, path, value=None, *, drop=False):
    """A copy in which what lies at `path` is `value`, or is gone."""
    facts = json.loads(json.dumps(facts))
    within = facts
    for key in path[:-1]:
        within = within[key]
    if drop:
        del within[path[-1]]
    else:
        within[path[-1]] = value
    return facts


def mutants(facts):
    """Every key gone, and every key of all kinds of values."""
    for path in places(facts):
        yield changed(facts, path, drop=True)
        yield from (changed(facts, path, value) for value in ODD)


@pytest.fixture
def facts(folder):
    """What a model says of itself, guards included."""
    guards = {
        "alarms": ["covid: synthetic images hardly differ"],
        "stopped": "",
        "images_shown": 1,
        "copies": {},
    }
    return {**told(folder), "guards": guards}


def test_a_key_that_is_gone_or_of_another_type_is_never_unexpected(folder, facts):
    assert ("plan", "form", "spacing_mm") in places(facts)
    loaded = refused = 0
    for mutant in itertools.islice(mutants(facts), None, None, 7):  # each key in some way; all ways below
        tell(folder, mutant)
        try:
            Model.load(folder)
            loaded += 1
        except ModelError:
            refused += 1
    assert refused > 2 * loaded > 0


@pytest.mark.slow
def test_what_is_not_refused_can_be_drawn_from(folder, facts, tmp_path):
    for mutant in mutants(facts):
        tell(folder, mutant)
        with contextlib.suppress(MedganError):
            sample(
                folder,
                tmp_path / "out",
                options=DrawOptions(label=[Model.load(folder).labels[0]], count=1, no_filter=True),
            )
            shutil.rmtree(tmp_path / "out")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("counts",), None, "counts should be an object"),
        (("digest",), 3, "digest should be text"),
        (("guards",), {"x": 1}, "lacks 'alarms'"),
        (("plan", "span"), ["a"], r"plan.span\[0\] should be a number"),
        (("plan", "span"), [0.0], "plan.span cannot be"),
        (("plan", "form", "format"), "exe", "plan.form.format cannot be 'exe'"),
        (("plan", "form", "bits"), 64, "plan.form.bits cannot be 64"),
        (("plan", "form", "spacing_mm"), [0, 0, 0], "plan.form.spacing_mm cannot be"),
        (("plan", "form", "high"), float("inf"), "plan.form.high is not a finite number"),
        (("plan", "labels"), ["a", "a"], "plan.labels cannot be"),
        (("version",), 1e400, "version should be a whole number"),
    ],
)
def test_the_sentence_names_file_key_and_next_step(folder, path, value, words):
    tell(folder, changed(told(folder), path, value))
    with pytest.raises(ModelError, match=words) as refusal:
        Model.load(folder)
    assert "model.json" in refusal.value.message
    assert "Copy the model folder again" in refusal.value.hint


@pytest.mark.parametrize("text", ["[" * 200_000, "[1]", "3", "", "\x00", '{"version": 1}', '{"a": NaN'])
def test_text_that_is_no_model_is_told(folder, text):
    (folder / "model.json").write_text(text)
    with pytest.raises(ModelError, match=r"model\.json cannot be read"):
        Model.load(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"latent": 60_000},
        {"widths": [60_000, 60_000, 60_000]},
        {"labels": [f"class {number}" for number in range(20_000)]},
        {"channels": 3},
        {"base": [6, 6], "size": [24, 24]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_sizes_that_the_weights_do_not_have_are_refused_before_memory_is_taken(folder, change, monkeypatch):
    facts = told(folder)
    facts["plan"].update(change)
    if "channels" in change:
        facts["plan"]["form"]["channels"] = 3
    tell(folder, facts)
    monkeypatch.setattr(torch.nn.Module, "to_empty", lambda *_, **__: pytest.fail("memory was taken"))
    with pytest.raises(ModelError, match="the plan needs"):
        Model.load(folder)


@pytest.mark.parametrize("change", [{"latent": 10**6}, {"size": [10**6, 10**6]}, {"widths": [4] * 100}])
def test_sizes_that_no_plan_has_are_refused(folder, change):
    facts = told(folder)
    facts["plan"].update(change)
    tell(folder, facts)
    with pytest.raises(ModelError, match=f"plan.{next(iter(change))} cannot be"):
        Model.load(folder)


def weigh(folder, change):
    """Other weights, and the digest that goes with them."""
    tensors = load_file(folder / "generator.safetensors")
    change(tensors)
    save_file(tensors, folder / "generator.safetensors")
    restate(folder)


def restate(folder):
    tell(folder, changed(told(folder), ("digest",), digest_file(folder / "generator.safetensors")))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["outline.mean", "tones"])
def test_weights_that_are_no_numbers_draw_nothing(folder, tmp_path, number, name):
    def spoil(tensors):
        tensors.setdefault("tones", torch.zeros(2, 1, 2, 5))
        tensors[name].flatten()[-1] = number

    weigh(folder, spoil)
    with pytest.raises(ModelError, match=f"{name} holds a weight that is infinite or not a number"):
        sample(folder, tmp_path / "out", options=DrawOptions(count=1))
    assert not (tmp_path / "out").exists()


def test_finite_weights_whose_images_are_no_numbers_draw_nothing(folder):
    weigh(folder, lambda tensors: [tensor.mul_(1e30) for tensor in tensors.values()])
    with pytest.raises(ModelError, match="not numbers"), np.errstate(all="ignore"):
        next(draw(Model.load(folder), "covid", [0]))


def test_a_generator_that_broke_down_is_not_saved(folder, tmp_path):
    model = Model.load(folder)
    with torch.no_grad():
        next(iter(model.network.parameters())).fill_(float("nan"))
    with pytest.raises(ModelError, match="cannot be used"):
        Model.save(
            tmp_path / "new", model.network, model.plan, {"data_digest": "", "counts": {}, "images_shown": 1}
        )
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("curves", [(3, 1, 2, 5), (2, 1, 2), (2, 3, 2, 5), (2, 1, 1, 5), (0,)])
def test_tone_curves_of_another_shape_are_refused(folder, curves):
    weigh(folder, lambda tensors: tensors.update(tones=torch.zeros(curves)))
    with pytest.raises(ModelError, match="tones is"):
        Model.load(folder)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        struct.pack("<Q", 2**62) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 75)
        + b'{"a":{"dtype":"F32","shape":[99999999999],"data_offsets":[0,399999999996]}}',
        b"\x00" * 100,
    ],
    ids=["empty", "endless header", "a list", "more than there is", "zeros"],
)
def test_a_weights_file_that_lies_is_damaged(folder, data):
    (folder / "generator.safetensors").write_bytes(data)
    restate(folder)
    with pytest.raises(ModelError, match="this model is damaged"):
        Model.load(folder)
