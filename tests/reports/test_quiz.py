import base64
import hashlib
import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from medgan.evaluation.quiz import choose_quiz
from medgan.reports.quiz import save_quiz
from tests.reports.quizzes import NAMES, data
from tests.reports.test_page import Reader

DETECTOR = {"told_apart": 0.934, "interval": [0.9, 0.961]}


def page(tmp_path, given=None, seed=3, detector=DETECTOR):
    save_quiz(tmp_path, given or data(), seed, detector)
    return (tmp_path / "quiz.html").read_text(encoding="utf-8")


def facts(text):
    """What the script is given."""
    (found,) = re.findall(r'<script id="facts" type="application/json">(.*?)</script>', text, re.DOTALL)
    return json.loads(found)


def pictures(text):
    """The bytes of every picture, in their order on the page."""
    return [base64.b64decode(one) for one in re.findall(r'<img src="data:image/png;base64,([^"]*)"', text)]


def answers(text):
    """Whether each image is synthetic, as the script reads it."""
    digits = facts(text)["answers"]
    return [bin(int(digits[at : at + 2], 16)).count("1") % 2 == 1 for at in range(0, len(digits), 2)]


def test_it_says_what_it_holds(tmp_path):
    held = save_quiz(tmp_path, data(), 3, None)
    assert held == {"page": "quiz.html", "images": 40, "classes": {"mass": 20, "normal": 20}}


def test_the_page_is_sound_and_needs_no_other_file(tmp_path):
    reader = Reader()
    reader.feed(page(tmp_path, data((30, 30, 30), (30, 30, 30))))
    assert not reader.open
    assert all(link.startswith("data:") for link in reader.links)
    assert len(reader.ids) == len(set(reader.ids))
    assert [image["alt"].split(",")[0] for image in reader.images] == [
        f"Image {number} of 40" for number in range(1, 41)
    ]


def test_only_its_own_script_and_style_may_run(tmp_path):
    text = page(tmp_path)
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', text)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules.pop("default-src") == rules.pop("base-uri") == rules.pop("form-action") == "'none'"
    assert rules.pop("img-src") == "data:"
    for name in ("script", "style"):
        (inline,) = re.findall(rf"<{name}>(.*?)</{name}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert rules.pop(f"{name}-src") == f"'sha256-{digest}'"
    assert not rules
    assert not re.search(r" (style|on\w+)=", text)


def test_the_pictures_are_the_images_in_the_order_of_the_answers(tmp_path):
    given = data()
    text, quiz = page(tmp_path, given), choose_quiz(given, 3)
    assert answers(text) == quiz.synthetic.tolist()
    for shown, image in zip(pictures(text), quiz.images.pixels, strict=True):
        pixels = np.asarray(Image.open(io.BytesIO(shown)), np.float32) / 255
        assert np.corrcoef(pixels.ravel(), image[0].ravel())[0, 1] > 0.99


@pytest.mark.parametrize("channels", [1, 3])
def test_nothing_but_what_they_show_tells_the_kinds_apart(tmp_path, channels):
    given = data(shape=(channels, 12, 16))
    given.synthetic.pixels[:] = 0.5  # flat images would compress to far fewer bytes
    text = page(tmp_path, given)
    shown = pictures(text)
    assert len({len(one) for one in shown}) == 1
    assert len({one[:33] for one in shown}) == 1  # size, bit depth and colour
    chunks = {tuple(re.findall(rb"IHDR|IDAT|tEXt|pHYs|gAMA|tIME|eXIf|IEND", one)) for one in shown}
    assert chunks == {(b"IHDR", b"IDAT", b"IEND")}
    figures = re.findall(r"<figure.*?</figure>", text)
    bare = {re.sub(r'src="[^"]*"|\d+', "", re.sub("mass|normal", "", one)) for one in figures}
    assert len(figures) == 40
    assert len(bare) == 1


def test_no_name_of_a_patient_or_file_is_on_the_page(tmp_path):
    text = re.sub(r'src="[^"]*"', "", page(tmp_path))
    assert not re.search("patient [0-9]|source [0-9]", text)


def test_names_of_classes_are_only_words(tmp_path):
    text = page(tmp_path, data((0, 0, 9), (0, 0, 9)))
    assert NAMES[2] not in text
    assert "rare &lt;b&gt;&amp;" in text


def test_the_interval_of_every_result_is_on_the_page(tmp_path):
    told = facts(page(tmp_path))["intervals"]
    assert len(told) == 41
    for right, ends in enumerate(told):
        expected = stats.binomtest(right, 40).proportion_ci(0.95, method="exact")
        assert ends == pytest.approx((expected.low, expected.high), abs=5e-5)


def test_the_same_seed_gives_the_same_page_and_another_one_another(tmp_path):
    first, again, other = (page(tmp_path, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert answers(first) != answers(other)
    assert facts(first)["quiz"] != facts(other)["quiz"]


def test_it_says_whose_images_it_shows_and_that_it_must_not_leave_the_house(tmp_path):
    text = " ".join(page(tmp_path).split())
    assert "This page holds real scans of patients, so it must not leave the house." in text
    assert "20 are real and 20 synthetic" in text
    assert "held out from the training (checked: nobody saw them). The filter kept 80 of 100 images" in text


def test_the_detector_is_told_where_it_was_trained(tmp_path):
    text = " ".join(page(tmp_path).split())
    assert "an AUC of 0.93 (0.90 to 0.96)" in text
    assert "in 93 of 100 pairs" in text
    assert "No detector was trained in this evaluation." in page(tmp_path, detector=None)


def test_a_large_image_is_reduced_so_that_the_page_stays_readable(tmp_path):
    text = page(tmp_path, data((2, 2), (2, 2), shape=(1, 600, 300)))
    assert {Image.open(io.BytesIO(one)).size for one in pictures(text)} == {(256, 512)}
    assert 'class="enlarged"' not in text
    assert 'class="enlarged"' in page(tmp_path)
