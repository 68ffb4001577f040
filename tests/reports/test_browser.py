"""The page in a real browser: nothing in the console, every picture there, nothing wider than the window."""

import functools
import http.server
import itertools
import os
import shutil
import threading
from dataclasses import replace

import pytest

from medgan.reports.page import render_page
from tests.reports.sample_reports import empty, folder, whole

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


@pytest.fixture(params=[("screen", 1280), ("print", 794)], ids=["screen", "paper"])
def shown(request, browser, address):
    """A full page on a screen, and as it is printed on A4."""
    medium, width = request.param
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": medium})
    sized(browser, width)
    browser.get(f"{address}/whole.html")
    yield browser
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_nothing_is_cut_off_on_a_screen_or_on_paper(shown):
    wider = shown.execute_script("return document.documentElement.scrollWidth - innerWidth")
    assert wider <= 0


def test_words_stand_out_from_their_ground(shown):
    """Contrast of at least 4.5 (WCAG 2.1, 1.4.3) of all text."""
    faint = shown.execute_script("""
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
    """)
    assert faint == []


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
