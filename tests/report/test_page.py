import dataclasses
import re
from html.parser import HTMLParser

import pytest

from medgan.report.page import HOW, agreement, likeness, page
from tests.report.stories import LABELS, empty, whole

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


def read(story):
    reader = Reader()
    reader.feed(page(story))
    return reader


@pytest.fixture(scope="module")
def full():
    return page(whole())


@pytest.mark.parametrize("story", [whole, empty])
def test_the_page_is_sound_and_loads_nothing_from_elsewhere(story):
    reader = read(story())
    assert not reader.open
    assert all(link.startswith(("data:", "#")) for link in reader.links)
    assert "script" not in reader.tags
    assert len(reader.ids) == len(set(reader.ids))
    assert {link[1:] for link in reader.links if link.startswith("#")} <= set(reader.ids)


def test_every_picture_has_words_for_those_who_do_not_see_it():
    images = read(whole()).images
    assert len(images) == 2 * (8 + 5) + 2 * 2 + 4
    assert all(image["alt"] for image in images)


def test_the_verdict_comes_first(full):
    body = full.partition("<main>")[2]
    assert body.index("No benefit") < body.index("Real images beside synthetic ones")


def test_sections_come_in_the_order_a_clinician_asks(full):
    order = re.findall(r'<section id="([a-z]+)"', full)
    assert order == [
        "verdict", "images", "neighbours", "usefulness", "fidelity", "privacy", "counts", "curves", "reproduce",
    ]  # fmt: skip


def test_what_is_absent_says_which_command_makes_it():
    text = page(empty())
    assert all(command in text for command in HOW.values() if "shortcut" not in command)
    assert "Not tested" in text
    assert 'class="missing"' not in page(whole())


def test_class_names_cannot_break_the_page():
    story = dataclasses.replace(whole(), after={"<script>alert(1)</script>": 3}, before={})
    assert "<script>" not in page(story)


def test_equal_stories_give_equal_pages(full):
    assert page(whole()) == full


def test_every_class_score_and_arm_is_told(full):
    assert all(label in full for label in LABELS)
    for words in ("KID", "FD-PCA64", "sliced Wasserstein", "KID: as real in 3 of 3 spaces", "recall: as real in 0 of 3 spaces", "oversampling + classical", "parity"):  # fmt: skip
        assert words in full
    assert full.count("cannot be concluded") >= 2
    assert "a screen, not a proof" in full


@pytest.mark.parametrize(
    ("note", "tone", "mark"),
    [("", "good", "✓"), ("only 7 real patients: ... cannot be concluded", "even", "~")],
)
def test_too_few_images_to_conclude_are_no_tick(note, tone, mark):
    scores = [{"name": "kid", "label": "a", "at_floor": True, "note": note}]
    found = agreement("kid", scores)
    assert (found["tone"], found["mark"], found["words"]) == (tone, mark, "KID: as real")
    told = likeness(scores)
    assert told[0] == tone
    assert ("too few images or patients" in told[2]) is bool(note)
    far = [{**scores[0], "at_floor": False}]
    assert (agreement("kid", far)["tone"], likeness(far)[0]) == ("bad", "bad")  # a large distance is telling
