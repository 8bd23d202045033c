# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The page of the metrics port in a real browser: the numbers that /metrics has, through a restart, without a word on
the console."""

import gzip
import http.client

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse_text
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from submission import job
from waiting import until


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for switch in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(switch)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


@pytest.fixture
def shown(maild, judge, browser):
    """A maild with two jobs in hand, three ready, one failed, and its page."""
    def script(session, verb, argument):
        return "550 5.1.1 gone" if verb == "RCPT" and "gone@" in argument else None

    server = judge(script=script)
    one = maild(workers=2, relay=server.settings()).start()
    with one.submission() as client:
        client.send(*(job() for _ in range(10)), job(to="gone@example.com")).answers(11)
        one.wait_for_counts(ready=0, running=0, failed=1)
        server.hold = True
        client.send(*(job() for _ in range(5)), job(delay=3600)).answers(6)
    server.wait_for_held(2)
    browser.set_window_size(1200, 900)
    browser.get(f"http://127.0.0.1:{one.port}/")
    until(lambda: text(browser, "jobs-ready") == "3", "the page shows three ready jobs")
    yield one
    server.release()


def text(browser, id):
    return browser.find_element(By.ID, id).text


def metric(maild, name, **labels):
    families = parse_text(maild.http("/metrics")[2])
    return sum(sample.value for family in families for sample in family.samples
               if sample.name == name and labels.items() <= sample.labels.items())


def console(browser):
    """What was said on the console, but for the questions that nobody answered while maild was away."""
    return [line for line in browser.get_log("browser") if "ERR_CONNECTION" not in line["message"]]


def test_it_shows_the_numbers_that_metrics_has(shown, browser):
    for state in ("ready", "running", "scheduled", "held", "failed"):
        assert int(text(browser, f"jobs-{state}")) == metric(shown, "maild_jobs", state=state), state
    assert int(text(browser, "workers")) == metric(shown, "maild_workers", state="busy") == 2
    assert text(browser, "workers-target") == f"of {metric(shown, 'maild_workers_target'):.0f}"
    assert int(text(browser, "total-accepted")) == metric(shown, "maild_jobs_accepted_total") == 17
    assert int(text(browser, "total-failed")) == metric(shown, "maild_jobs_completed_total", outcome="failed") == 1
    assert text(browser, "state") == "serving"
    assert console(browser) == []


def test_it_shows_relays_with_their_state_and_the_latest_failures_without_addresses(shown, browser):
    relay = browser.find_element(By.CSS_SELECTOR, "#relay-rows tr").text.split()
    assert relay[:2] == ["judge", "up"]
    failure = browser.find_element(By.CSS_SELECTOR, "#failure-rows tr").text
    assert "550 5.1.1" in failure and "judge" in failure
    assert "gone@" not in browser.page_source and "example.com" not in browser.page_source


def test_it_draws_on_while_the_queue_moves(shown, browser):
    before = browser.find_element(By.CSS_SELECTOR, 'svg[data-line="running"] path.edge').get_attribute("d")
    until(lambda: browser.find_element(
        By.CSS_SELECTOR, 'svg[data-line="running"] path.edge').get_attribute("d") != before, "the line grows")
    with shown.submission() as client:
        client.send(*(job() for _ in range(7))).answers(7)
    until(lambda: text(browser, "jobs-ready") == "10", "the page follows")


def test_it_survives_a_restart(shown, browser):
    shown.stop()
    until(lambda: text(browser, "state") == "no answer", "the page says that nobody answers")
    shown.start()
    until(lambda: text(browser, "state") == "serving", "the page has found the new daemon")
    until(lambda: text(browser, "total-accepted") == "0", "its counters are those of the new one")
    assert console(browser) == []


@pytest.mark.parametrize("width", [320, 390, 768, 1200])
def test_nothing_sticks_out_of_a_narrow_screen(shown, browser, width):
    # Chromium's window has a least width, its device metrics have none.
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True})
    try:
        inner, content = browser.execute_script("return [innerWidth, document.documentElement.scrollWidth]")
        assert content <= inner == width
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def luminance(colour):
    """WCAG 2.2, relative luminance of `rgb(…)`."""
    parts = [int(part) / 255 for part in colour[colour.index("(") + 1:-1].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_can_be_read(shown, browser, scheme):
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    paper = luminance(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert (paper > 0.5) == (scheme == "light")
    for selector in ("body", ".faint", "#state", "thead th", "a", "h3"):
        ink = luminance(browser.execute_script(
            "return getComputedStyle(document.querySelector(arguments[0])).color", selector))
        # WCAG 2.2, 1.4.3: a contrast of 4.5 at least.
        assert (max(paper, ink) + 0.05) / (min(paper, ink) + 0.05) >= 4.5, selector


def test_a_keyboard_and_a_screen_reader_find_their_way(shown, browser):
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert browser.switch_to.active_element.get_attribute("href").endswith("/metrics")
    for section in browser.find_elements(By.CSS_SELECTOR, "section, article"):
        assert browser.find_element(By.ID, section.get_attribute("aria-labelledby"))
    for cell in browser.find_elements(By.CSS_SELECTOR, "th"):
        assert cell.get_attribute("scope") in ("col", "row")
    assert "2 of 2 workers busy" in browser.find_element(By.ID, "spoken").get_attribute("textContent")
    assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == "en"


def test_nothing_on_it_steers(shown, browser):
    assert browser.find_elements(By.CSS_SELECTOR, "form, button, input, select") == []


@pytest.mark.parametrize("path", ["/metrics", "/"])
def test_what_is_asked_for_in_gzip_comes_in_gzip(running, path):
    def fetch(**headers):
        connection = http.client.HTTPConnection("127.0.0.1", running.port)
        connection.request("GET", path, headers=headers)
        return (answer := connection.getresponse()), answer.read()

    plain, body = fetch()
    packed, bytes = fetch(**{"Accept-Encoding": "deflate, gzip;q=0.5"})
    refused, _ = fetch(**{"Accept-Encoding": "gzip;q=0"})
    assert plain.getheader("Content-Encoding") is None and refused.getheader("Content-Encoding") is None
    assert packed.getheader("Content-Encoding") == "gzip" and len(bytes) < len(body) / 2
    assert gzip.decompress(bytes)[:15] == body[:15]


def test_several_queues_are_told_apart_and_one_alone_is_not(shown, maild, browser):
    assert not browser.find_element(By.ID, "queue-section").is_displayed()
    one = maild(queue={"bulk": {"weight": 2}}).start()
    one.control.call("Pause", queue="bulk")
    with one.submission() as client:
        client.send(*(job(queue="bulk") for _ in range(3)), job(queue="bulk", delay=3600)).answers(4)
    browser.get(f"http://127.0.0.1:{one.port}/")
    until(lambda: text(browser, "jobs-ready") == "3", "the page shows three ready jobs")
    rows = [row.text.split() for row in browser.find_elements(By.CSS_SELECTOR, "#queue-rows tr")]
    assert rows[0][:5] == ["default", "served", "0", "0", "0"]
    assert rows[1][:5] == ["bulk", "paused", "3", "0", "1"]
    assert rows[1][2] == f"{metric(one, 'maild_jobs', queue='bulk', state='ready'):.0f}"
    assert console(browser) == []
