"""The page: what it is served with, and what people see and do on it in a real browser."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest

from tests.control.browser import CHROMIUM, Page, browser
from tests.control.conftest import TOKEN, Endpoint

PARTS = {part.name: part.read_text() for part in (files("bluegreen.control") / "page").iterdir()}
KINDS = {"html": "text/html", "js": "text/javascript", "css": "text/css"}
in_a_browser = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not there: apt-get install chromium"),
]


CHANGES = [
    {"kind": "schema", "id": "20261101-orders", "summary": "orders lose a column", "phase": "contract"},
    {"kind": "security", "id": "tls", "summary": "x", "advisories": [{"id": "CVE-2026-1", "severity": "high"}]},
]
UNSAFE = ["point-of-no-return", "schema:20261101-orders", "security:tls"]


class Inline(HTMLParser):
    """Collects what the content security policy forbids."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._script = False

    def handle_starttag(self, tag, attrs):
        names = {name for name, _ in attrs}
        self.found += [f"{tag} {name}" for name in names if name.startswith("on") or name == "style"]
        self.found += ["style"] if tag == "style" else []
        self._script = tag == "script"

    def handle_data(self, data):
        if self._script and data.strip():
            self.found.append("inline script")


async def test_each_part_of_the_page_is_served_under_a_strict_policy_and_to_anybody(endpoint: Endpoint) -> None:
    for name, text in [("", PARTS["index.html"]), *((f"page/{name}", text) for name, text in PARTS.items())]:
        async with endpoint.tcp.get(f"{endpoint.url}/{name}", headers={"Authorization": ""}) as answer:
            assert answer.status == 200, name
            assert answer.content_type == KINDS[(name or "index.html").rpartition(".")[2]]
            assert await answer.text() == text
            policy = answer.headers["Content-Security-Policy"]
            assert {"default-src 'none'", "script-src 'self'", "style-src 'self'"} <= set(policy.split("; "))
            assert "unsafe" not in policy


def test_the_page_has_nothing_inline_and_asks_nobody_else() -> None:
    inline = Inline()
    inline.feed(PARTS["index.html"])
    assert inline.found == []
    for name, text in PARTS.items():
        for never in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "https://", "//cdn"):
            assert never not in text, name
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", ""), name


@pytest.fixture
async def page(endpoint: Endpoint, tmp_path: Path) -> AsyncIterator[Page]:
    """The page, let in by the token in its address; nothing in it may have failed at the end."""
    async with browser(f"{endpoint.url}/#token={TOKEN}", tmp_path / "profile") as opened:
        yield opened
        assert opened.faults == []


class TestInABrowser:
    pytestmark = in_a_browser

    async def test_a_deployment_is_seen_live_and_the_token_is_nowhere(self, endpoint: Endpoint, page: Page) -> None:
        await page.sees("blue has the traffic", "blue 100%, green 0%", "1 of 1 healthy", "● live")
        await endpoint.post("/v1/services/web/deployments", {"version": "v2", "reason": "<b id=evil>tax</b>"})
        await page.sees("green has the traffic", "blue 0%, green 100%", "warm", "<b id=evil>tax</b>", "kept warm")
        assert await page.run("document.getElementById('evil')") is None
        assert await page.run("location.href") == endpoint.url + "/"
        assert TOKEN not in await page.run("document.documentElement.outerHTML")
        assert await page.run("document.title") == "bluegreen"

    async def test_the_way_back_is_seen_with_every_proof(self, endpoint: Endpoint, page: Page) -> None:
        await endpoint.deployed()
        await page.sees("Ready for a failback, proven", "What was proven")
        await page.run(
            "[...document.querySelectorAll('details')].find((one) => one.dataset.key.startsWith('proven ')).open = true"
        )
        await page.sees("ok memory: weights", "ok ticket: ", "s ago")
        (endpoint.directory / "services" / "bad").touch()
        await page.sees("NOT ready for a failback: ticket: ", "FAILED ticket: ")

    async def test_a_halt_is_seen_with_its_evidence_and_the_ways_on(self, endpoint: Endpoint, page: Page) -> None:
        (endpoint.directory / "services" / "bad").touch()
        await endpoint.deployed()
        await page.sees(
            "web waits for a person", "HALTED in smoke", "FAILED ticket", "blue 100%, green 0%",
            "Traffic stays as it is until a person decides", "bluegreen resume web", "bluegreen abort web",
        )  # fmt: skip
        await page.until("document.title === '■ HALTED web'")
        assert "b3261e" in await page.run("document.getElementById('icon').href")
        labels = await page.run("[...document.querySelectorAll('.acts button:not(.copy)')].map((b) => b.textContent)")
        document = await endpoint.service()
        lawful = [option for option in document["options"] if option["lawful"]]
        named = {"hold": "hold and claim"}
        asked = [named.get(one["label"], one["label"]) for one in lawful if one["verb"] != "deploy"]
        assert [label.rstrip("…").lower() for label in labels] == asked, "in the daemon's order"
        await page.sees("Nobody has it yet")
        await page.click("Hold and claim…")
        await page.click("Hold and claim")
        await page.sees("token:ci has it")
        (endpoint.directory / "services" / "bad").unlink()
        await page.click("Retry…")
        await page.sees("MOVES TRAFFIC: none at first: smoke runs again", "blue 100% -> 0%", "100% → 0%")
        await page.until("!document.getElementById('cause-part').hidden")
        await page.run("document.getElementById('cause').value = 'check_itself'")
        await page.type("note", "the ticket was gone")
        await page.click("Retry")
        await page.sees("green has the traffic")
        learned = next(event for event in await endpoint.events() if event["data"].get("cause") == "check_itself")
        assert learned["data"]["note"] == "the ticket was gone"
        resumed = next(event for event in await endpoint.events() if event["kind"] == "Resumed")
        assert resumed["by"] == "token:ci"

    async def test_a_failback_wants_the_reason_and_the_name_and_shows_both_sides(
        self, endpoint: Endpoint, page: Page
    ) -> None:
        await endpoint.deployed("v2")
        await page.click("Fail back…")
        await page.sees("green v2 has 100%, 1 of 1 healthy", "100% → 0%", "0% → 100%", "ready by the last proof")
        await page.click("Move the traffic to blue")
        assert await page.run("document.getElementById('reason').matches(':invalid')"), "no reason, no failback"
        await page.type("reason", "5xx on pay")
        await page.type("confirm", "wbe")
        await page.click("Move the traffic to blue")
        await page.sees("This is not the service's name")
        assert (await endpoint.service())["live"] == "green"
        await page.run("document.getElementById('confirm').value = ''")
        await page.type("confirm", "web")
        await page.click("Move the traffic to blue")
        await page.sees("blue has the traffic")
        asked = [event for event in await endpoint.events() if event["kind"] == "Requested"][-1]
        assert (asked["by"], asked["reason"]) == ("token:ci", "5xx on pay")

    async def test_each_unsafe_line_of_the_report_has_a_box_to_tick_and_the_debts_are_shown_afterwards(
        self, endpoint: Endpoint, page: Page
    ) -> None:
        await endpoint.deployed("v2", changes=CHANGES)
        await page.click("Fail back…")
        await page.sees("CVE-2026-1 (high)", "needs data work after", "roll forward rather than back", "no failback of")
        await page.type("reason", "5xx on pay")
        await page.type("confirm", "web")
        await page.click("Move the traffic to blue")
        boxes = "[...document.querySelectorAll('[data-acknowledge]')]"
        assert await page.run(f"{boxes}.map((box) => box.dataset.acknowledge)") == UNSAFE
        assert await page.run(f"{boxes}[0].matches(':invalid')"), "no tick, no failback"
        for scheme in ("light", "dark"):
            for width in (1280, 360):
                await page.look(width=width, scheme=scheme)
                assert await page.run("document.documentElement.scrollWidth - innerWidth") <= 0, "nothing sticks out"
                assert json.loads(await page.run(WEAK_TEXTS)) == [], f"{scheme}, {width} px"
        await page.run(f"{boxes}.slice(1).forEach((box) => box.click())")
        await page.click("Move the traffic to blue")
        assert (await endpoint.service())["live"] == "green", "one line is not ticked"
        await page.run(f"{boxes}[0].click()")
        await page.click("Move the traffic to blue")
        await page.sees("blue has the traffic", "advisory:CVE-2026-1")
        await page.sees("nobody owns it", "bluegreen debts web --acknowledge")
        asked = [event for event in await endpoint.events() if event["kind"] == "Requested"][-1]
        assert asked["data"]["acknowledged"] == sorted(UNSAFE)

    @pytest.mark.parametrize("endpoint", ["approve"], indirect=True)
    async def test_a_plan_that_is_no_longer_true_is_shown_anew_and_nothing_moves(
        self, endpoint: Endpoint, page: Page
    ) -> None:
        await endpoint.post("/v1/services/web/deployments", {"version": "v2"})
        await page.sees("waits for an approval", "blue 50%, green 50%", "web waits for a person")
        await page.click("Fail back…")
        await page.sees("green v2 has 50%", "Move the traffic to blue")
        await endpoint.post("/v1/services/web/approve")
        await endpoint.until("completed")
        await page.type("reason", "5xx on pay")
        await page.type("confirm", "web")
        await page.click("Move the traffic to blue")
        await page.sees("the state has moved since you looked", "green v2 has 100%")
        assert await page.run("document.getElementById('confirm').value") == ""
        assert (await endpoint.service())["live"] == "green"
        await page.click("Leave it as it is")
        await page.sees("Deployment of v2 to green: completed")

    async def test_a_refusal_is_said_and_nothing_moves(self, endpoint: Endpoint, page: Page) -> None:
        await endpoint.deployed("v2")
        await page.click("Fail back…")
        await page.sees("Move the traffic to blue")
        await endpoint.post("/v1/services/web/release")
        await page.type("reason", "5xx on pay")
        await page.type("confirm", "web")
        await page.click("Move the traffic to blue")
        await page.sees("Nothing was done", "web has no warm environment to fail back to")
        assert await page.run("document.getElementById('dialog-go').disabled")
        assert (await endpoint.service())["live"] == "green"

    async def test_what_may_be_old_says_so(self, endpoint: Endpoint, page: Page) -> None:
        await page.sees("● live")
        await endpoint.runner.cleanup()
        await page.sees("what you see may be old", "blue 100%, green 0%")
        await page.until("document.title === 'bluegreen (old)'")
        page.faults.clear()

    async def test_without_the_token_there_is_a_door_and_behind_it_the_page(
        self, endpoint: Endpoint, tmp_path: Path
    ) -> None:
        async with browser(endpoint.url, tmp_path / "stranger") as page:
            await page.sees("Who are you?")
            assert "web" not in await page.run("document.getElementById('services').innerText")
            await page.type("token", "wrong")
            await page.click("Come in")
            await page.sees("This token is not known.")
            await page.type("token", TOKEN)
            await page.click("Come in")
            await page.sees("blue has the traffic", "● live")
            assert "Who are you?" not in await page.text()

    async def test_it_is_readable_by_day_and_by_night_on_a_wall_and_on_a_phone(
        self, endpoint: Endpoint, page: Page
    ) -> None:
        (endpoint.directory / "services" / "bad").touch()
        await endpoint.deployed()
        await page.sees("HALTED in smoke")
        await page.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        for scheme in ("light", "dark"):
            for width in (1280, 360):
                await page.look(width=width, scheme=scheme)
                assert await page.run("document.documentElement.scrollWidth - innerWidth") <= 0, "nothing sticks out"
                weak = json.loads(await page.run(WEAK_TEXTS))
                assert weak == [], f"{scheme}, {width} px"


WEAK_TEXTS = """
(() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => (c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const ground = (one) => {
    for (; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const weak = [];
  for (const one of document.querySelectorAll('body *')) {
    const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !one.checkVisibility() || one.classList.contains('hidden')) continue;
    const [a, b] = [light(parse(getComputedStyle(one).color)), light(ground(one))].sort((x, y) => y - x);
    const contrast = (a + .05) / (b + .05);
    if (contrast < 4.5) weak.push([one.className, one.textContent.slice(0, 40), contrast.toFixed(2)]);
  }
  return JSON.stringify(weak);
})()
"""  # noqa: E501 - a program of another language
