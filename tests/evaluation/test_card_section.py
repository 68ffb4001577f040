"""The model card carries what was measured of the model, and nothing else of the run is touched."""

import json
import shutil

import pytest

from medgan.commands import evaluate as module
from medgan.commands.evaluate import evaluate
from medgan.commands.train import train
from medgan.evaluation import card_section
from medgan.evaluation.data import _UNNAMED, Request
from medgan.evaluation.options import EvidenceOptions
from medgan.learners.gan.model import Model
from medgan.learners.gan.model_card import _BEGIN, _END
from medgan.plan import Overrides
from tests.commands.blobs import discs, tree

TINY = Overrides(effort="smoke", size=(16, 24), images=16, batch=8)
FOUND = {
    "usefulness": {"verdict": "no-difference", "sentence": "No difference: oversampling does as well."},
    "giveaways": {"verdict": "none", "sentence": "No class is given away.", "signs": []},
    "shortcut": {"verdict": "visible", "sentence": "Told apart, and not leaned on."},
    "privacy": {"verdict": "passed", "sentence": "No copy was found. This is a screen, not a proof."},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A data set with test patients, and a run trained on it: only to be copied."""
    place = tmp_path_factory.mktemp("verdicts")
    discs(place / "scans", split="train", full=12, rare=8)
    source = discs(place / "scans", split="test", full=9, rare=8)
    train(source, place / "run", overrides=TINY)
    return source, place / "run"


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained[1], tmp_path / "run")


@pytest.fixture(autouse=True)
def said(monkeypatch):
    """The parts say this; what they measure is tested by themselves."""
    words = json.loads(json.dumps(FOUND))
    monkeypatch.setattr(module, "PARTS", {name: lambda _, name=name: words[name] for name in words})
    return words


def judged(source, run, out, **how):
    return evaluate(
        Request(source=source, model=run, per_class=3, evidence=EvidenceOptions(**how)),
        out,
    )


def card(run):
    return (run / "model" / "card.md").read_text(encoding="utf-8")


def section(run):
    _, _, rest = card(run).partition(_BEGIN)
    found, end, _ = rest.partition(_END)
    assert end
    return found


def test_the_card_carries_verdicts_filter_patients_date_and_command(trained, run, tmp_path):
    done = judged(trained[0], run, tmp_path / "out")
    told = section(run)
    assert done.notes == (_UNNAMED,)
    for words in (
        "## Evaluation",
        f"Of the weights `{Model.load(run).digest}`, measured on 2",
        "17 in test",
        "- Usefulness: no-difference. No difference: oversampling does as well.",
        "- Shortcut: visible. Told apart, and not leaned on.",
        "- Privacy: passed. No copy was found. This is a screen, not a proof.",
        "- Images: The filter kept 7 of ",
        "The model without the filter draws what it left out, too.",
        "| label | drawn | near copies |",
        f"`{done.command}`",
    ):
        assert words in told
    assert str(tmp_path) not in told


def test_that_nothing_can_be_told_is_on_the_card_too(trained, run, tmp_path, said):
    words = (
        "Cannot tell whether synthetic images help: only 2 held-out patients have rare; at least 5 are"
        " needed for a verdict."
    )
    said["usefulness"] = {"verdict": "cannot-tell", "sentence": words}
    judged(trained[0], run, tmp_path / "out", only="usefulness")
    assert f"- Usefulness: cannot-tell. {words}" in section(run)


def test_nothing_else_of_the_run_changes_and_training_goes_on_as_before(trained, run, tmp_path):
    before = tree(run)
    judged(trained[0], run, tmp_path / "out")
    after = tree(run)
    assert {name for name in before if before[name] != after[name]} == {"model/card.md"}
    assert before.keys() == after.keys()
    whole = card(run)
    again = train(trained[0], run, overrides=TINY)
    assert again.model_digest == Model.load(run).digest
    assert card(run) == whole


def test_another_evaluation_takes_the_place_of_the_first_and_the_words_of_people_stay(
    trained, run, tmp_path, said
):
    judged(trained[0], run, tmp_path / "one")
    path = run / "model" / "card.md"
    path.write_bytes(b"Seen by us.\r\n" + path.read_bytes() + "Über die Bilder: gut.".encode())
    said["usefulness"] = {"verdict": "helps", "sentence": "They help."}
    judged(trained[0], run, tmp_path / "two", no_filter=True)
    text = path.read_bytes().decode()
    assert text.startswith("Seen by us.\r\n# Model card\n")
    assert text.endswith(f"{_END}\nÜber die Bilder: gut.")
    assert text.count("## Evaluation") == text.count(_BEGIN) == text.count(_END) == 1
    assert "- Usefulness: helps. They help." in text
    assert "- Images: The images are judged as they were drawn" in text
    assert "| near copies |" not in text
    train(trained[0], run, overrides=TINY)
    assert path.read_bytes().decode() == text


def test_the_same_command_again_leaves_the_card_as_it_is(trained, run, tmp_path):
    judged(trained[0], run, tmp_path / "out")
    before = (run / "model" / "card.md").stat()
    judged(trained[0], run, tmp_path / "out")
    assert (run / "model" / "card.md").stat().st_mtime_ns == before.st_mtime_ns


def test_what_was_not_measured_is_said_and_without_any_verdict_there_is_no_section(
    trained, run, tmp_path, monkeypatch
):
    judged(trained[0], run, tmp_path / "out", only="privacy")
    assert "- Usefulness: not measured." in section(run)
    assert "- Shortcut: not measured." in section(run)
    before = card(run)
    monkeypatch.setattr(module, "PARTS", {"fidelity": lambda _: []})
    judged(trained[0], run, tmp_path / "other", only="fidelity")
    assert card(run) == before


def test_other_weights_have_a_card_without_the_evaluation(trained, run, tmp_path):
    judged(trained[0], run, tmp_path / "out")
    model = Model.load(run)
    for weights in model.network.parameters():
        weights.mul_(0.5)
    about = {"data_digest": model.data_digest, "counts": {}, "images_shown": 32}
    other = Model.save(run / "model", model.network, model.plan, about)
    assert other.digest != model.digest
    assert "## Evaluation" not in card(run)
    assert other.digest in card(run)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda path: path.unlink(), "is absent or cannot be read"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "is absent or cannot be read"),
        (lambda path: path.write_text("# Mine"), "speaks of other weights"),
        (
            lambda path: path.with_name(".card.md.partial").mkdir(),
            "cannot be written",
        ),  # as a place without rights does
    ],
)
def test_a_card_that_takes_no_verdict_is_a_note_and_no_error(trained, run, tmp_path, damage, why):
    damage(run / "model" / "card.md")
    before = tree(run)
    done = judged(trained[0], run, tmp_path / "out")
    assert done.notes == (
        _UNNAMED,
        f"the model card carries no verdict: card.md {why}",
    )
    assert done.privacy == FOUND["privacy"]
    assert tree(run) == before


def test_nobody_held_out_is_said():
    told = {
        **FOUND,
        "patients": {"train": 9, "val": 0, "test": 0},
        "medgan": "0",
        "settings": {"effort": "quick"},
        "command": "medgan evaluate",
        "filter": {"on": False, "sentence": "The filter\nwas off.", "counts": {}},
    }
    text = "\n".join(card_section._section_lines(told, "abc", "2026-11-02"))
    assert "No patient was held out" in text
    assert "- Images: The filter was off.\n" in text


def test_a_second_test_stands_below_the_first(trained, run, tmp_path, said):
    theirs = discs(tmp_path / "theirs", shape=(20, 30), full=5, rare=4).path
    said["usefulness"] |= {"external": {"verdict": "helps", "sentence": "They help there."}}
    said["giveaways"] |= {"external": {"verdict": "told", "sentence": "Brightness alone tells rare there."}}
    asked = Request(
        source=trained[0],
        model=run,
        external=theirs,
        per_class=3,
        evidence=EvidenceOptions(only="usefulness"),
    )
    found = evaluate(asked, tmp_path / "out")
    assert found.as_json()["external"]["verdict"] == "helps"
    assert "- Usefulness at another hospital (9 patients): helps. They help there." in section(run)
    assert (
        "- Giveaways of the scans themselves at another hospital (9 patients): told. Brightness alone tells"
        " rare there."
    ) in section(run)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<strong>And at another hospital?</strong> They help there." in page
    assert "real, of another hospital" in page
