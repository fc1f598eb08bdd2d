"""
The page in a real browser, through the real gateway, against the running stack.
"""

import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from ops import rooms
from ops.background import BackgroundStack

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
OFFICES = 133
OFFICE = "bandung"
EASTERN_OFFICE = "jayapura"
DEADLINE_MS = 15_000
PLANNED_SECONDS = 60


def _chromium() -> Path | None:
    found = sorted(Path("/usr/bin").glob("chromium*"))
    return next((path for path in found if os.access(path, os.X_OK)), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """
    Debian's Chromium, without a head.
    """
    program = _chromium()
    if program is None:
        pytest.skip("no Chromium in /usr/bin (Debian: apt-get install chromium), so nobody looks at the page")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """
    A window of an Indonesian reader, who is not in the time zone of the office.
    """
    context = browser.new_context(
        locale="id-ID", timezone_id="Europe/Berlin", viewport={"width": 1280, "height": 1000}, color_scheme="light"
    )
    context.set_default_timeout(DEADLINE_MS)
    expect.set_options(timeout=DEADLINE_MS)
    yield context.new_page()
    context.close()


@pytest.fixture
def complaints(page: Page) -> list[str]:
    """
    What the browser says against the page, its content policy included.
    """
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


@pytest.fixture(scope="module")
def url(stack: BackgroundStack) -> str:
    """
    The gateway, once next week is planned and quota has heard of it.
    """
    stack.call(rooms.command("booking", "seed", env=stack.env))
    end = time.monotonic() + PLANNED_SECONDS
    while not all(_has_slots(stack.url, office) for office in (OFFICE, EASTERN_OFFICE)):
        assert time.monotonic() < end, f"no slots to see after {PLANNED_SECONDS} s"
        time.sleep(0.1)
    return stack.url


def _has_slots(url: str, office_id: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/v1/offices/{office_id}/availability", timeout=5) as response:  # noqa: S310
            return bool(json.load(response)["slots"])
    except urllib.error.HTTPError as refused:
        with refused:
            return False


def _seconds_left(page: Page) -> int:
    days, hours, minutes, seconds = (
        int(page.inner_text(f"#{unit}")) for unit in ("days", "hours", "minutes", "seconds")
    )
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _picture(tmp_path: Path) -> Path:
    """
    The README's picture is only replaced on purpose.
    """
    wanted = os.environ.get("ANTREAN_SCREENSHOT") == "1"
    return (ROOT / "docs/img" if wanted else tmp_path) / "page.png"


def test_a_person_finds_an_office_and_sees_what_is_free(
    url: str, page: Page, complaints: list[str], tmp_path: Path
) -> None:
    """
    Countdown, search, live availability in the office's own time, and the other language; and no complaint.
    """
    page.goto(url)
    expect(page.locator("html")).to_have_attribute("lang", "id")
    expect(page.locator("#offices li")).to_have_count(OFFICES)
    expect(page.locator("#clock")).to_have_text(re.compile(r"^\d\d\.\d\d\.\d\d"))

    page.get_by_label("Cari nama, kota, atau provinsi").fill("jawa barat")
    expect(page.locator("#found")).to_contain_text(f"dari {OFFICES}")
    page.locator(f'#offices a[href="#{OFFICE}"]').click()

    expect(page.locator("#detail-name")).to_have_text("Bandung")
    expect(page.locator("#countdown")).to_be_visible()
    expect(page.locator("#opening-when")).to_contain_text("WIB")
    left = _seconds_left(page)
    page.wait_for_function("before => document.getElementById('seconds').textContent !== before", arg=f"{left % 60:02}")
    assert left > _seconds_left(page)

    expect(page.locator(".slot").first).to_be_visible()
    expect(page.locator(".slot .number").first).to_have_text(re.compile(r"^[\d.]+ dari [\d.]+$"))
    expect(page.locator("thead")).to_contain_text(re.compile(r"Pagi 08\.00.10\.00"))
    with page.expect_response(lambda response: "/availability" in response.url) as polled:
        pass
    assert polled.value.ok
    page.screenshot(path=_picture(tmp_path))

    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#office")).to_be_focused()
    expect(page.locator("#detail-name")).to_have_text("Bandung")

    page.get_by_role("button", name="EN").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("#picker-title")).to_have_text("Immigration offices")
    expect(page.locator("thead")).to_contain_text(re.compile(r"Morning 08:00.10:00"))
    expect(page.locator(".slot .service").first).to_have_text("Regular")

    assert [] == complaints


def test_an_office_in_the_east_speaks_its_own_time(url: str, page: Page, complaints: list[str]) -> None:
    """
    08:00 in Jayapura is 08:00 WIT, whoever looks, from wherever.
    """
    page.goto(f"{url}/#{EASTERN_OFFICE}")

    expect(page.locator("#opening-when")).to_contain_text("WIT")
    expect(page.locator("thead")).to_contain_text(re.compile(r"Pagi 08\.00.10\.00"))
    expect(page.locator("#clock")).to_contain_text("WIT")
    assert [] == complaints


def test_what_is_old_is_said_to_be_old_until_the_server_answers_again(url: str, page: Page) -> None:
    """
    A room that is not ready is shown in its own words, with a way to try again, and nothing disappears.
    """

    def not_ready(route: Route) -> None:
        route.fulfill(
            status=503,
            content_type="application/problem+json",
            headers={"Retry-After": "600"},
            body=json.dumps({"title": "Belum siap", "code": "not_ready"}),
        )

    page.goto(f"{url}/#{OFFICE}")
    expect(page.locator(".slot").first).to_be_visible()
    page.route("**/availability?*", not_ready)

    expect(page.locator("#fault")).to_contain_text("Belum siap. Yang tampak adalah keadaan pukul")
    expect(page.locator("#fault-again")).to_contain_text(re.compile(r"5\d\d detik|600 detik"))
    expect(page.locator(".slot").first).to_be_visible()

    page.unroute("**/availability?*")
    page.get_by_role("button", name="Coba sekarang").click()
    expect(page.locator("#fault")).to_be_hidden()


def _post(url: str, body: dict[str, str], key: str) -> None:
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        assert 202 == response.status


def _activation_link(stack: BackgroundStack, email: str) -> str:
    mails = f"{stack.env['MAIL_LOOKUP_URL']}/messages"
    end = time.monotonic() + PLANNED_SECONDS
    while True:
        with urllib.request.urlopen(f"{mails}?to={email}", timeout=5) as response:  # noqa: S310
            found = json.load(response)
        if found:
            with urllib.request.urlopen(f"{mails}/{found[0]['n']}", timeout=5) as response:  # noqa: S310
                return re.search(r"https?://\S+#activation=\S+", json.load(response)["text"])[0]  # type: ignore[index]
        assert time.monotonic() < end, "the activation mail never came"
        time.sleep(0.1)


def test_the_link_of_the_activation_mail_activates_the_account(
    stack: BackgroundStack, url: str, page: Page, complaints: list[str]
) -> None:
    """
    Whoever follows the link is told so, the second time as well; a link nobody sent is refused in words.
    """
    email = "halaman@contoh.example"
    account = {"username": "halaman", "password": "kata-sandi-contoh-2026", "nik": "9971014506900001"}
    _post(
        f"{url}/v1/accounts", account | {"phone": "+6281234567", "email": email, "address": "Jalan 1"}, "page-account"
    )
    link = _activation_link(stack, email)
    for _ in range(2):
        page.goto(link)
        expect(page.locator("#notice-text")).to_have_text("Akun Anda aktif. Silakan masuk.")
        page.goto("about:blank")
    assert [] == complaints

    page.goto(f"{url}/#activation={'x' * 43}")
    expect(page.locator("#notice-text")).to_contain_text("tidak berlaku lagi")
