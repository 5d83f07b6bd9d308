"""One list of ways on and back: the document, the command line, the page. What one of them says, all of them say."""

from __future__ import annotations

import asyncio
import contextlib
import io
from pathlib import Path
from typing import Any

import pytest

from bluegreen.cli.main import main
from tests.control.browser import CHROMIUM, browser
from tests.control.conftest import TOKEN, Endpoint

pytestmark = pytest.mark.slow

KEYS = {
    "verb", "label", "subject", "lawful", "effect", "moves_traffic", "traffic", "seconds", "duration", "risk",
    "command", "why_not", "instead",
}  # fmt: skip


async def _halted(endpoint: Endpoint) -> dict[str, Any]:
    (endpoint.directory / "services" / "bad").touch()
    return await endpoint.deployed()


async def _bluegreen(endpoint: Endpoint, *arguments: str) -> tuple[int, str, str]:
    """`bluegreen …` against the endpoint: exit code, standard output and error as one long line each."""
    out, err = io.StringIO(), io.StringIO()

    def call() -> int:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            return main(["--socket", endpoint.socket, *arguments])

    code = await asyncio.to_thread(call)
    return code, _line(out.getvalue()), _line(err.getvalue())


def _line(text: str) -> str:
    return " ".join(text.split())


def _facts(option: dict[str, Any]) -> list[str]:
    if option["lawful"]:
        return [option["label"], option["effect"], option["duration"], option["risk"], option["command"]]
    return [option["label"], option["why_not"]]


async def test_the_document_says_all_of_each_way(endpoint: Endpoint) -> None:
    document = await _halted(endpoint)
    assert all(set(option) == KEYS for option in document["options"])
    assert document["switch"]["options"] == document["options"]
    assert [option["label"] for option in document["options"] if option["lawful"]] == [
        "hold", "retry", "accept ticket", "roll forward", "abort",
    ]  # fmt: skip
    retry = next(option for option in document["options"] if option["verb"] == "resume")
    assert retry["traffic"] == [
        {"switch_point": "memory", "now": {"blue": 100.0, "green": 0.0}, "after": {"blue": 0.0, "green": 100.0}}
    ]
    assert (retry["seconds"], retry["duration"]) == (None, "unknown: no earlier run (planned waits: 1 s)")


@pytest.mark.slow
async def test_the_command_line_says_the_same_in_the_same_order(endpoint: Endpoint) -> None:
    document = await _halted(endpoint)
    code, shown, _ = await _bluegreen(endpoint, "explain", "web")
    assert code == 0
    at = shown.index("YOUR OPTIONS")
    for fact in [fact for option in document["options"] for fact in _facts(option)]:
        at = shown.index(_line(fact), at)


async def test_after_some_runs_the_expected_time_is_what_they_took(endpoint: Endpoint) -> None:
    await endpoint.deployed("v2")
    await endpoint.post("/v1/services/web/release")
    document = await _halted(endpoint)
    retry = next(option for option in document["options"] if option["verb"] == "resume")
    assert retry["seconds"] >= 0.1, "the planned waits"
    assert retry["duration"].startswith("about ")
    assert "by the last run" in retry["duration"]


@pytest.mark.slow
async def test_an_answer_by_the_command_line_is_to_the_halt_that_it_has_shown(endpoint: Endpoint) -> None:
    document = await _halted(endpoint)
    old = document["switch"]["halt"]["id"]
    code, _, said = await _bluegreen(endpoint, "resume", "web")
    assert code == 0
    assert f"the answer to {old}" in said
    async with asyncio.timeout(90):
        while (now := (await endpoint.until("halted"))["switch"]["halt"]["id"]) == old:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert now == old.replace("-h1", "-h2")
    code, _, said = await _bluegreen(endpoint, "abort", "web", "--halt", old)
    assert code == 3
    assert f"the answer is to halt {old}; the halt now is {now}" in said
    status, refused = await endpoint.post("/v1/services/web/deployments", {"version": "v3", "halt": old})
    assert (status, refused["type"]) == (409, "urn:bluegreen:state-moved")


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not there: apt-get install chromium")
async def test_the_page_says_the_same_in_the_same_order(endpoint: Endpoint, tmp_path: Path) -> None:
    document = await _halted(endpoint)
    async with browser(f"{endpoint.url}/#token={TOKEN}", tmp_path / "profile") as page:
        await page.sees("HALTED in smoke", "What is done")
        await page.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        shown = _line(await page.text()).casefold()
        at = shown.index("what you can do")
        for option in document["options"]:
            for fact in _facts(option)[1 if option["verb"] in ("failback", "halt") else 0 :]:
                at = shown.index(_line(fact).casefold(), 0 if not option["lawful"] else at)
        for one in document["switch"]["way"]:
            assert f"{one['outcome']} {one['what']}".casefold() in shown
            assert _line(one["takes"]).casefold() in shown
        assert page.faults == []
