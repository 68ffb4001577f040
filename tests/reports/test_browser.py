"""The page in a real browser: nothing in the console, every picture there, nothing wider than the window."""

import functools
import http.server
import itertools
import json
import os
import shutil
import threading
import time
from dataclasses import replace

import pytest

from medgan.evaluation.quiz import choose_quiz
from medgan.reports.page import render_page
from medgan.reports.quiz import save_quiz
from tests.reports import quizzes
from tests.reports.sample_reports import empty, folder, whole
from tests.test_docs import documented

FAINT = """
    const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
    const linear = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
    const light = colour => { const [r, g, b] = numbers(colour).map(linear);
        return .2126 * r + .7152 * g + .0722 * b; };
    const ground = one => { for (; one; one = one.parentElement) {
        const c = getComputedStyle(one).backgroundColor;
        if (numbers(c)[3] !== 0) return c; } return 'rgb(255, 255, 255)'; };
    return [...document.querySelectorAll('body *')]
        .filter(one => [...one.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
        .filter(one => {
            const both = [light(getComputedStyle(one).color), light(ground(one))];
            const [a, b] = both.sort((x, y) => y - x);
            return (a + .05) / (b + .05) < 4.5; }).map(one => one.outerHTML.slice(0, 90));
"""
"""Text with a contrast of less than 4.5 (WCAG 2.1, 1.4.3)."""

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromium-driver are not installed"),
]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def browser():
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars"):
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield found
    found.quit()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Pages served on loopback, as a hospital's own server would."""
    place = tmp_path_factory.mktemp("pages")
    reports = {"whole": whole(), "folder": folder(), "empty": empty()}
    for count in range(1, 6):
        reports[f"answers{count}"] = with_answers(count)
    for name, report in reports.items():
        (place / f"{name}.html").write_text(render_page(report), encoding="utf-8")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=place))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def with_answers(count):
    """An evaluation with so many answers beside its verdict."""
    report = whole()
    parts = ("scores", "giveaways", "privacy", "shortcut", "usefulness")
    evaluation = {name: part for name, part in report.evaluation.items() if name not in parts[count:]}
    return replace(report, evaluation=evaluation)


def sized(browser, width):
    """A window of exactly this many pixels, which a window's own smallest width would not allow."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
    )


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["whole", "folder", "empty"])
def test_the_page_is_right_in_a_browser(browser, address, name, width):
    sized(browser, width)
    browser.get(f"{address}/{name}.html")
    assert browser.get_log("browser") == []
    assert browser.execute_script("return innerWidth") == width
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    browser.execute_script("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    unseen = browser.execute_script(
        "return [...document.images].filter(one => !(one.complete && one.naturalWidth)).map(one => one.alt)"
    )
    assert unseen == []
    if kept := os.environ.get("MEDGAN_SCREENSHOTS"):
        height = browser.execute_script("return document.documentElement.scrollHeight")
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        browser.save_screenshot(f"{kept}/{name}-{width}.png")


@pytest.mark.parametrize(
    ("width", "rows"),
    [
        (1280, {1: [1], 2: [2], 3: [3], 4: [2, 2], 5: [3, 2]}),
        (700, {1: [1], 2: [2], 3: [2, 1], 4: [2, 2], 5: [2, 2, 1]}),
        (390, {count: [1] * count for count in range(1, 6)}),
    ],
)
@pytest.mark.parametrize("count", range(1, 6))
def test_rows_of_answers_are_full_and_none_stands_alone_beside_a_gap(browser, address, width, rows, count):
    sized(browser, width)
    browser.get(f"{address}/answers{count}.html")
    cards = browser.execute_script(
        "return [...document.querySelectorAll('.answers li')]"
        ".map(one => one.getBoundingClientRect().toJSON())"
    )
    right = browser.execute_script("return document.querySelector('.answers').getBoundingClientRect().right")
    by_row = [list(row) for _, row in itertools.groupby(cards, key=lambda one: round(one["top"]))]
    assert [len(row) for row in by_row] == rows[count]
    assert all(abs(row[-1]["right"] - right) < 1 for row in by_row)


@pytest.fixture(
    params=[
        ("screen", 1280, "light"),
        ("screen", 1280, "dark"),
        ("print", 794, "light"),
        ("print", 794, "dark"),
    ],
    ids=["screen", "dark screen", "paper", "paper from a dark screen"],
)
def shown(request, browser, address):
    """A full page on a light and on a dark screen, and as either prints it on A4."""
    medium, width, scheme = request.param
    wish = {"media": medium, "features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", wish)
    sized(browser, width)
    browser.get(f"{address}/whole.html")
    yield browser
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


@pytest.mark.parametrize("shown", [("screen", 1280, "dark")], indirect=True)
def test_a_dark_room_gets_a_dark_page(shown):
    """Its ground is dark; plots, which are drawn on white, keep a white ground."""
    grounds = shown.execute_script(
        "const ground = one => getComputedStyle(one).backgroundColor;"
        "return [ground(document.documentElement), ground(document.querySelector('figure.plot img'))]"
    )
    assert grounds == ["rgb(21, 27, 32)", "rgb(255, 255, 255)"]


def test_nothing_is_cut_off_on_a_screen_or_on_paper(shown):
    wider = shown.execute_script("return document.documentElement.scrollWidth - innerWidth")
    assert wider <= 0


def test_words_stand_out_from_their_ground(shown):
    """Contrast of at least 4.5 (WCAG 2.1, 1.4.3) of all text."""
    assert shown.execute_script(FAINT) == []


def test_all_that_opens_can_be_reached_by_keyboard(browser, address):
    from selenium.webdriver.common.keys import Keys

    browser.get(f"{address}/whole.html")
    reached = []
    for _ in range(30):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(
            browser.execute_script(
                "return document.activeElement.tagName + ' ' + (document.activeElement.hash || '')"
            )
        )
    assert reached[0] == "A #main"  # past the menu
    assert reached.count("SUMMARY ") >= 2


@pytest.fixture
def quiz(browser, tmp_path):
    """A quiz opened from the disk, as a reader opens it, and whether each of its images is synthetic."""
    save_quiz(tmp_path, quizzes.data(), 3, {"told_apart": 0.93, "interval": [0.9, 0.96]})
    browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    sized(browser, 1280)
    browser.get((tmp_path / "quiz.html").as_uri())
    yield browser, choose_quiz(quizzes.data(), 3).synthetic.tolist()
    assert browser.get_log("browser") == []


def shown_images(browser):
    return [one for one in browser.find_elements("css selector", "figure") if one.is_displayed()]


def press(browser, key):
    browser.switch_to.active_element.send_keys(key)


def finish(browser, keys):
    """Start the quiz by keyboard and answer every image with a key."""
    browser.find_element("id", "start").send_keys("\n")
    for number, key in enumerate(keys, 1):
        (figure,) = shown_images(browser)
        assert figure.text.startswith(f"{number}: class ")
        assert browser.find_element("id", "score").text.startswith(f"Image {number} of 40")
        press(browser, key)


def test_a_quiz_tells_how_many_were_told_and_which_were_which(quiz):
    from selenium.webdriver.common.keys import Keys

    browser, synthetic = quiz
    assert not shown_images(browser)
    keys = [
        (Keys.ARROW_RIGHT if number % 2 else "s") if made else "R" for number, made in enumerate(synthetic)
    ]
    wrong = [number for number, made in enumerate(synthetic) if made][:14]
    for number in wrong:
        keys[number] = Keys.ARROW_LEFT
    finish(browser, keys)
    score = browser.switch_to.active_element
    assert score.get_attribute("id") == "score"
    assert score.text.replace("\xa0", " ") == "You told 26 of 40: 65 % (48 to 79 %). Guessing gives 50 %."
    assert browser.find_element("id", "words").text == "That cannot be told from guessing."
    assert browser.find_element("id", "kinds").text == (
        "You called 20 of the 20 real images real, and 6 of the 20 synthetic images synthetic."
    )
    lines = [figure.text.split("\n")[1] for figure in shown_images(browser)]
    assert lines == [
        "it is synthetic, you said real: ✗ wrong"
        if number in wrong
        else "it is {0}, you said {0}: ✓ right".format("synthetic" if made else "real")
        for number, made in enumerate(synthetic)
    ]
    press(browser, "r")  # the quiz is over
    assert len(shown_images(browser)) == 40


def test_answers_by_buttons_can_be_saved(quiz, tmp_path):
    browser, synthetic = quiz
    browser.find_element("id", "start").click()
    for made in synthetic:
        browser.find_element("id", "synthetic" if made else "real").click()
    assert browser.find_element("id", "words").text == "You tell them apart more often than guessing would."
    browser.find_element("id", "save").click()
    deadline = time.monotonic() + 20
    while not (found := list(tmp_path.glob("quiz-*.json"))) and time.monotonic() < deadline:
        time.sleep(0.05)
    told = json.loads(found[0].read_text(encoding="utf-8"))
    assert (told["images"], told["right"], told["share"]) == (40, 40, 1)
    assert told["interval"] == [0.9119, 1]
    assert [one["is"] == one["said"] == "synthetic" for one in told["answers"]] == synthetic
    assert set(told) == documented("Answers of a reader")
    assert set(told["answers"][0]) == {"image", "class", "is", "said"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_quiz_fits_the_window_and_its_words_stand_out(quiz, width, scheme):
    browser, synthetic = quiz
    sized(browser, width)
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script(FAINT) == []
    finish(browser, ["r"] * 5)
    buttons = [browser.find_element("id", name) for name in ("real", "synthetic")]
    bottom = max(button.rect["y"] + button.rect["height"] for button in buttons)
    assert bottom <= 900  # seen without scrolling
    for _ in synthetic[5:]:
        press(browser, "s")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script(FAINT) == []
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_what_has_the_focus_is_seen(quiz):
    from selenium.webdriver.common.keys import Keys

    browser, _ = quiz
    browser.find_element("id", "start").send_keys("\n")
    for name in ("real", "synthetic"):
        press(browser, Keys.TAB)
        focus = browser.switch_to.active_element
        assert focus.get_attribute("id") == name
        assert focus.value_of_css_property("outline-style") == "solid"
    assert browser.find_element("id", "score").get_attribute("aria-live") == "polite"
