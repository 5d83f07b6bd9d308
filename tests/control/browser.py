"""A headless Chromium, driven over its DevTools protocol: what people see, click and type, without another package."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = Path("/usr/bin/chromium")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--remote-debugging-port=0",
)  # fmt: skip
START_SECONDS, STEP_SECONDS = 90.0, 60.0


class Page:
    """One tab. Times out after STEP_SECONDS; an exception or a violated policy in the page fails the test."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._ids = socket, itertools.count(1)
        self._loaded = False
        self.faults: list[str] = []

    async def go(self, url: str) -> None:
        """Open an address and wait until it is loaded."""
        self._loaded = False
        await self.send("Page.navigate", url=url)
        async with asyncio.timeout(STEP_SECONDS):
            while not self._loaded:
                self._note(await self._socket.receive_json())

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        """One command and its answer; what the page reports meanwhile is kept in `faults`."""
        id_ = next(self._ids)
        await self._socket.send_json({"id": id_, "method": method, "params": params})
        async with asyncio.timeout(STEP_SECONDS):
            while True:
                message = await self._socket.receive_json()
                if message.get("id") == id_:
                    assert "error" not in message, message
                    return dict(message["result"])
                self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        match message.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Runtime.exceptionThrown":
                self.faults.append(json.dumps(message["params"]["exceptionDetails"])[:2000])
            case "Log.entryAdded" if message["params"]["entry"]["source"] in ("security", "javascript"):
                self.faults.append(message["params"]["entry"]["text"])

    async def run(self, expression: str) -> Any:
        """The value of an expression in the page; promises are awaited."""
        found = await self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Ask again until it is true in the page."""
        try:
            async with asyncio.timeout(STEP_SECONDS):
                while not (value := await self.run(expression)):  # noqa: ASYNC110 - the page is another process
                    await asyncio.sleep(0.05)
                return value
        except TimeoutError:
            raise AssertionError(f"never true: {expression}\n{await self.text()}") from None

    async def text(self) -> str:
        """What stands on the screen."""
        return str(await self.run("document.body.innerText"))

    async def sees(self, *texts: str) -> None:
        """Until each of the texts stands on the screen."""
        for text in texts:
            await self.until(f"document.body.innerText.includes({json.dumps(text)})")

    async def click(self, label: str) -> None:
        """The button whose label begins so; where a dialog is open, in it."""
        await self.until(
            "(() => { const within = document.querySelector('dialog[open]') ?? document;"
            " const found = [...within.querySelectorAll('button')].find((b) => b.checkVisibility() &&"
            f" !b.disabled && b.textContent.startsWith({json.dumps(label)})); if (found) found.click();"
            " return Boolean(found); })()"
        )

    async def type(self, id_: str, text: str) -> None:
        """Into the field with this id, as by keyboard."""
        await self.run(f"document.getElementById({json.dumps(id_)}).focus()")
        await self.send("Input.insertText", text=text)

    async def look(self, *, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
        """Be a screen of this width, by day or by night."""
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        await self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    async def picture(self, file: Path) -> None:
        """A PNG of the whole page."""
        shot = await self.send("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))


@contextlib.asynccontextmanager
async def browser(url: str, profile: Path) -> AsyncIterator[Page]:
    """A new Chromium with one tab at `url`; ended, with all of its processes, at the end."""
    process = await asyncio.create_subprocess_exec(
        str(CHROMIUM), *_FLAGS, f"--user-data-dir={profile}", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port = await _port(profile / "DevToolsActivePort")
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                tab = next(one for one in await answer.json() if one["type"] == "page")
            async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                for domain in ("Page", "Runtime", "Log"):
                    await page.send(f"{domain}.enable")
                await page.look()
                await page.go(url)
                yield page
                await page.send("Browser.close")
        async with asyncio.timeout(STEP_SECONDS):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _port(file: Path) -> int:
    async with asyncio.timeout(START_SECONDS):
        while True:
            with contextlib.suppress(FileNotFoundError, IndexError, ValueError):
                return int(file.read_text().splitlines()[0])
            await asyncio.sleep(0.05)
