import dataclasses
import re
import time
from html.parser import HTMLParser

import numpy as np
import pytest

from medgan.pictures.display import ClassGallery
from medgan.reports.page import NearestPair, render_page
from medgan.reports.verdict import _agreement, _likeness
from tests.reports.sample_reports import LABELS, empty, folder, whole

VOID = {"meta", "link", "img", "br"}


class Reader(HTMLParser):
    """Collects what a page holds, and whether its tags fit together."""

    def __init__(self):
        super().__init__()
        self.open, self.images, self.links, self.ids, self.tags = [], [], [], [], set()

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.add(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found[key] for key in ("href", "src") if key in found]
        self.images += [found] if tag == "img" else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def read(report):
    reader = Reader()
    reader.feed(render_page(report))
    return reader


@pytest.fixture(scope="module")
def full():
    return render_page(whole())


@pytest.mark.parametrize("report", [whole, folder, empty])
def test_the_page_is_sound_and_loads_nothing_from_elsewhere(report):
    reader = read(report())
    assert not reader.open
    assert all(link.startswith(("data:", "#")) for link in reader.links)
    assert "script" not in reader.tags
    assert len(reader.ids) == len(set(reader.ids))
    assert {link[1:] for link in reader.links if link.startswith("#")} <= set(reader.ids)


def test_every_picture_has_words_for_those_who_do_not_see_it():
    images = read(whole()).images
    assert (
        len(images)
        == 2 * (8 + 5) + (4 + 2) + 2 * 2 + len(("arms", "one judge", "another", "variety", "grid")) + 5
    )
    assert all(image["alt"] for image in images)


def test_the_verdict_comes_first(full):
    body = full.partition("<main")[2]
    assert body.index("No difference") < body.index("Real images beside synthetic ones")


def test_sections_come_in_the_order_a_clinician_asks(full):
    order = re.findall(r'<section id="([a-z]+)"', full)
    assert order == [
        "verdict",
        "images",
        "ranked",
        "neighbours",
        "usefulness",
        "fidelity",
        "privacy",
        "counts",
        "grids",
        "curves",
        "unmeasured",
        "reproduce",
    ]


def test_what_is_absent_is_left_out_and_its_command_told_in_one_line():
    text = render_page(empty())
    assert re.findall(r'<section id="([a-z]+)"', text) == ["reproduce"]
    assert "Not tested" not in text
    told = render_page(folder()).partition('id="unmeasured"')[2]
    assert "medgan evaluate scans/ --synthetic balanced --out balanced-evaluation" in told
    assert not {"SOURCE", "RUN", "EVALUATION"} & set(re.findall(r"[A-Z]+", told.partition("</section>")[0]))


def test_a_folder_tells_what_was_checked_and_what_each_picture_is():
    text = render_page(folder())
    for words in (
        "a_real_000003.dcm",
        "synthetic: 8 of 84",
        "real: 8 of 100",
        "synthetic: none needed",
        "336",
        "<strong>Not</strong> a proof: <code>--no-filter</code>",
    ):
        assert words in text, words
    assert "`" not in text.partition("<main")[2]


def test_an_evaluation_adds_nothing_to_training_images(full):
    section = full.partition('<section id="counts"')[2].partition("</section>")[0]
    assert "together" not in section
    assert "Before" not in section
    assert [int(number) for number in re.findall(r'class="num">(\d+)<', section)] == [16, 9, 500, 100, 9, 500]


def test_a_clinician_meets_words_and_codes_only_where_details_are(full):
    text = re.sub(r"<title>.*?</title>|title=\"[^\"]*\"|alt=\"[^\"]*\"", "", full.partition("<main")[2])
    seen = re.sub(r"<details.*?</details>", "", text, flags=re.DOTALL)
    for code in ("T1", "parity", "everywhere", "lite2", "C_T", "arm ", "spaces"):
        assert code not in re.sub(r"<[^>]*>", " ", seen), code
    assert '<abbr title="T1">Copies by correlation</abbr>' in full


def test_curves_come_with_matrices_and_sensitivities_of_every_arm(full):
    assert full.count('class="matrix"') == 5
    assert "at 95 %" in full
    matrix = full.partition('class="matrix"')[2].partition("</table>")[0]
    assert sum(map(int, re.findall(r">(\d+) <span", matrix))) == 60


def test_a_bright_synthetic_image_is_not_burnt_out_beside_a_dim_real_one(monkeypatch):
    windows = []
    monkeypatch.setattr(
        "medgan.reports.page.png", lambda image, window, *most: windows.append(window) or b"x"
    )
    dim = np.random.default_rng(0).uniform(0, 0.4, (1, 16, 16)).astype(np.float32)
    pair = NearestPair(label="a", words="", synthetic=dim * 2.4, real=dim)
    render_page(
        dataclasses.replace(
            empty(),
            pairs=[pair],
            galleries=[ClassGallery(label="a", real=dim[None], synthetic=2.4 * dim[None])],
        )
    )
    assert len(set(windows)) == 1
    assert windows[0][1] >= np.percentile(dim * 2.4, 99)


def test_repeats_have_a_column_of_their_own_where_there_are_any():
    told = {"before": {"a": 2, "b": 5}, "after": {"a": 7, "b": 7}}
    text = render_page(dataclasses.replace(empty(), **told, repeated={"a": 3}))
    assert "real, repeated</th>" in text
    cells = '<td class="num">2</td><td class="num">3</td><td class="num">2</td><td class="num">7</td>'
    assert f'<th scope="row">a</th>{cells}' in text
    assert "real, repeated</th>" not in render_page(dataclasses.replace(empty(), **told))


def test_twenty_thousand_classes_make_a_page_soon():
    labels = [f"class {number}" for number in range(20000)]
    report = dataclasses.replace(empty(), before=dict.fromkeys(labels, 3), after=dict.fromkeys(labels, 5))
    began = time.process_time()
    text = render_page(report)
    assert time.process_time() - began < 20
    assert "And 19800 more classes" in text


def test_names_that_are_no_text_do_not_stop_the_page():
    assert "caf\\udce9" in render_page(dataclasses.replace(empty(), facts={"label": "caf\udce9"}))


def test_class_names_cannot_break_the_page():
    name = "<script>alert(1)</script>"
    report = dataclasses.replace(
        folder(),
        after={name: 3},
        before={},
        checked=[f"{name} `{name}`"],
        filtered={name: {name: 1}},
        unmeasured=[(name, name)],
    )
    assert "<script" not in render_page(report)


def test_a_second_test_has_an_answer_and_a_column(full):
    assert (
        "<strong>And at another hospital?</strong> Cannot tell whether synthetic images help: "
        "only 4 external patients" in full
    )
    table = full.partition("AUPRC at another hospital")[2].partition("</table>")[0]
    assert table.count('<td class="num">0.583 (0.533 to 0.643)</td>') == 1
    assert table.count('<td class="num">-</td>') == 4


def test_equal_reports_give_equal_pages(full):
    assert render_page(whole()) == full


def test_every_class_score_and_arm_is_told(full):
    assert all(label in full for label in LABELS)
    for words in (
        "KID",
        "FD-PCA64",
        "sliced Wasserstein",
        "distance (KID): as real in 3 of 3 comparisons",
        "variety reached (recall): as real in 0 of 3 comparisons",
        "oversampling + classical",
        "a quarter synthetic in every class",
        "named before the test",
        "Even twice as many",
    ):
        assert words in full
    assert full.count("cannot be concluded") >= 2
    assert "a screen, not a proof" in full


@pytest.mark.parametrize(
    ("note", "tone", "mark"),
    [("", "good", "✓"), ("only 7 real patients: ... cannot be concluded", "even", "~")],
)
def test_too_few_images_to_conclude_are_no_tick(note, tone, mark):
    scores = [{"name": "kid", "label": "a", "at_floor": True, "note": note}]
    found = _agreement("kid", scores)
    assert (found["tone"], found["mark"], found["words"]) == (tone, mark, "distance (KID): as real")
    told = _likeness(scores)
    assert told[0] == tone
    assert ("too few images or patients" in told[2]) is bool(note)
    far = [{**scores[0], "at_floor": False}]
    assert (_agreement("kid", far)["tone"], _likeness(far)[0]) == (
        "bad",
        "bad",
    )  # a large distance is telling
