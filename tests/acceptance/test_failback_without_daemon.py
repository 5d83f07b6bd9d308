"""Failback when everything else is gone: five situations, a real HAProxy, real processes, and the daemon's return."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.operator import Daemon, Operator, split
from tests.cli.terminal import at_a_terminal
from tests.kills.stage import stage

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("load")]
REASON = "5xx on pay"


@dataclass
class Site:
    """A service whose deployment waits at 40 %, with its daemon and its operator."""

    config: Path
    state: Path
    daemon: Daemon
    operator: Operator

    async def failback(self, *more: str) -> tuple[int, str]:
        """The operator's command, without a terminal."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bluegreen", "--config", str(self.config), "failback", "web", "--yes", "--reason",
            REASON, *more, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(90):
            out, _ = await process.communicate()
        return process.returncode or 0, out.decode()

    def card(self) -> Path:
        return self.state / "cards" / "web.json"


@contextlib.asynccontextmanager
async def mid_shift(directory: Path) -> AsyncIterator[Site]:
    """In the middle of a deployment that waits for an approval at 40 %."""
    async with stage(directory) as there:
        there.write_service("[5%, 20%, 40%, 60%, 80%, 100%]", "approve")
        config, socket_ = there.config, there.socket
        site = Site(config, there.state, Daemon(config, socket_), Operator(socket_, "web"))
        await site.daemon.start()
        try:
            await site.operator.deploy("v2")
            for share in (5, 20, 40):
                await site.operator.at("green", share)
                if share < 40:
                    await site.operator.until(lambda seen: seen["switch"]["awaiting"] == "approval", "the approval")
                    await site.operator.post("approve")
            await site.operator.until(lambda seen: seen["switch"]["awaiting"] == "approval", "the approval at 40 %")
            yield site
        finally:
            await site.daemon.end(signal.SIGKILL)


async def killed(site: Site) -> list[str]:
    await site.daemon.end(signal.SIGKILL)
    return []


async def hung(site: Site) -> list[str]:
    site.daemon.send(signal.SIGSTOP)
    return ["--take-over"]


async def garbage_in_the_journal(site: Site) -> list[str]:
    await site.daemon.end(signal.SIGKILL)
    for file in site.state.glob("journal.sqlite*"):  # its write-ahead log alone would restore all of it
        file.write_bytes(os.urandom(8192))
    return ["--card", str(site.card())]


async def state_directory_gone(site: Site) -> list[str]:
    await site.daemon.end(signal.SIGKILL)
    kept = site.config.parent / "elsewhere" / "cards" / "web.json"
    kept.parent.mkdir(parents=True)
    shutil.copy(site.card(), kept)
    shutil.rmtree(site.state)
    code, out = await site.failback()
    assert (code, "there is no journal at" in out, "name one by --card FILE" in out) == (3, True, True), out
    assert not site.state.exists(), "an empty journal would know of no way back"
    return ["--card", str(kept)]


async def broken_configuration(site: Site) -> list[str]:
    await site.daemon.end(signal.SIGKILL)
    (site.config.parent / "services" / "web.yaml").write_text("service: [")
    return ["--card", str(site.card())]


SITUATIONS: dict[str, Callable[[Site], Awaitable[list[str]]]] = {
    "daemon killed": killed,
    "daemon hung": hung,
    "journal unreadable": garbage_in_the_journal,
    "state directory gone": state_directory_gone,
    "configuration broken": broken_configuration,
}


@pytest.mark.parametrize("situation", SITUATIONS)
async def test_a_failback_needs_no_daemon(
    tmp_path: Path, situation: str, report_figures: Callable[[str], None]
) -> None:
    async with mid_shift(tmp_path) as site:
        service = (tmp_path / "services" / "web.yaml").read_text()
        more = await SITUATIONS[situation](site)
        code, out = await site.failback(*more)
        assert code == 0, out
        assert "blue 100%" in out
        assert (f"copy it to {site.state / 'receipts'}" in out) == (situation == "state directory gone"), out
        report_figures(f"{situation}: failed back")
        (tmp_path / "services" / "web.yaml").write_text(service)
        if "--card" in more:
            await _comes_back(site, Path(more[1]))
        else:
            await site.daemon.end(signal.SIGKILL)
            await site.daemon.start()
            seen = await site.operator.look()
            assert (seen["live"], seen["switch"]["kind"], seen["switch"]["reason"]) == ("blue", "failback", REASON)
            assert (seen["switch"]["condition"], seen["switch"]["halt"]["cause"]) == ("halted", "without_daemon")
            await site.operator.post("resume")
            await site.operator.ended("completed")


async def _comes_back(site: Site, card: Path) -> None:
    """The daemon imports what was done, and stays halted until it is told."""
    receipts = [*card.parent.parent.glob("receipts/*.jsonl")]
    assert len(receipts) == 1
    site.state.mkdir(exist_ok=True)
    if card.parent.parent != site.state:
        shutil.copytree(card.parent.parent / "receipts", site.state / "receipts")
    if not _is_sound(site.state / "journal.sqlite"):
        for damaged in site.state.glob("journal.sqlite*"):
            damaged.rename(damaged.with_name(f"damaged.{damaged.name}"))
    await site.daemon.start()
    seen = await site.operator.look()
    assert split(seen) == {"blue": 100.0, "green": 0.0}
    assert (seen["switch"]["kind"], seen["switch"]["condition"]) == ("failback", "halted")
    assert seen["switch"]["halt"]["cause"] == "card"
    assert (seen["switch"]["reason"], seen["live"]) == (REASON, "blue")
    await site.daemon.end(signal.SIGKILL)
    await site.daemon.start()
    again = await site.operator.look()
    assert again["switch"]["halt"]["id"] == seen["switch"]["halt"]["id"], "imported once"
    await site.operator.post("resume")
    await site.operator.ended("completed")


def _is_sound(journal: Path) -> bool:
    return journal.exists() and journal.read_bytes().startswith(b"SQLite format 3")


async def test_at_a_terminal_the_card_is_offered_and_the_name_is_typed(
    tmp_path: Path, report_figures: Callable[[str], None]
) -> None:
    async with mid_shift(tmp_path) as site:
        await garbage_in_the_journal(site)
        seconds = await asyncio.to_thread(_at_the_terminal, site)
        report_figures(f"from the typed name to the balancer's new weights: {seconds:.2f} s, by the card")


def _at_the_terminal(site: Site) -> float:
    address = _socket(site)
    with at_a_terminal("--config", str(site.config), "failback", "web", "--no-color") as terminal:
        terminal.expect("the journal cannot be used")
        terminal.expect("Why?")
        terminal.type(REASON)
        terminal.expect("Type the service's name")
        began = time.monotonic()
        terminal.type("web")
        while _weight(address, "blue") == 60:
            assert time.monotonic() - began < 90, terminal.screen
        seconds = time.monotonic() - began
        assert terminal.end() == 0, terminal.screen
    assert "stays halted until it is told" in terminal.screen
    return seconds


async def test_an_operators_process_that_is_killed_in_mid_failback_loses_nothing(tmp_path: Path) -> None:
    """Killed once its first step is on the receipt: the daemon imports what was done, and a person ends it."""
    async with mid_shift(tmp_path) as site:
        await garbage_in_the_journal(site)
        await asyncio.to_thread(_killed_once_it_has_begun, site)
        for damaged in site.state.glob("journal.sqlite*"):
            damaged.rename(damaged.with_name(f"damaged.{damaged.name}"))
        await site.daemon.start()
        seen = await site.operator.look()
        assert (seen["switch"]["kind"], seen["switch"]["condition"]) == ("failback", "halted")
        assert seen["switch"]["reason"] == REASON
        await site.operator.post("resume")
        await site.operator.ended("completed")
        assert split(await site.operator.look()) == {"blue": 100.0, "green": 0.0}


def _killed_once_it_has_begun(site: Site) -> None:
    with at_a_terminal("--config", str(site.config), "failback", "web", "--yes", "--reason", REASON) as terminal:
        began = time.monotonic()
        while not any(file.read_text().count("StepStarted") for file in site.state.glob("receipts/*.jsonl")):
            assert time.monotonic() - began < 90, terminal.screen
        terminal.kill()


async def test_a_card_that_the_balancer_contradicts_moves_nothing(tmp_path: Path) -> None:
    async with mid_shift(tmp_path) as site:
        more = await garbage_in_the_journal(site)
        await _haproxy(site, "set server web/green weight 7", "set server web/blue weight 93")
        code, out = await site.failback(*more)
        assert code == 3, out
        assert "blue 93% green 7%" in out
        assert not [*site.state.glob("receipts/*")]


async def test_a_balancer_that_the_journal_contradicts_moves_nothing_and_is_told_before_anything_is_asked(
    tmp_path: Path,
) -> None:
    async with mid_shift(tmp_path) as site:
        await killed(site)
        await _haproxy(site, "set server web/green weight 7", "set server web/blue weight 93")
        code, out = await site.failback()
        assert code == 3, out
        assert "shows blue 93% green 7%, the journal says blue 60% green 40%; nothing was moved" in out
        assert str(site.card()) in out
        assert "another state" not in out
        assert _weight(_socket(site), "green") == 7


async def test_a_colleagues_failback_is_not_taken_for_a_daemon_that_hangs(tmp_path: Path) -> None:
    async with mid_shift(tmp_path) as site:
        await killed(site)
        await asyncio.to_thread(_while_a_colleague_thinks, site)


def _while_a_colleague_thinks(site: Site) -> None:
    with at_a_terminal("--config", str(site.config), "failback", "web", "--no-color") as terminal:
        terminal.expect("Why?")
        code, out = asyncio.run(site.failback())
        assert code == 3, out
        assert "somebody's failback without the daemon, holds the journal; nothing was moved here" in out
        assert "ask whose it is" in out
        terminal.kill()


async def test_a_changed_card_moves_nothing(tmp_path: Path) -> None:
    async with mid_shift(tmp_path) as site:
        more = await garbage_in_the_journal(site)
        document = json.loads(site.card().read_text())
        site.card().write_text(json.dumps({**document, "target": "green"}))
        code, out = await site.failback(*more)
        assert (code, "not as it was written" in out) == (2, True), out


async def test_while_the_daemon_lives_no_card_is_used(tmp_path: Path) -> None:
    async with mid_shift(tmp_path) as site:
        code, out = await site.failback("--card", str(site.card()))
        assert (code, "no card is needed" in out) == (3, True), out
        site.daemon.send(signal.SIGSTOP)
        code, out = await site.failback("--card", str(site.card()))
        assert (code, "--take-over" in out) == (3, True), out
        kept = tmp_path / "elsewhere" / "cards" / "web.json"
        kept.parent.mkdir(parents=True)
        shutil.copy(site.card(), kept)
        code, out = await site.failback("--card", str(kept))
        assert (code, "--take-over" in out) == (3, True), out
        site.daemon.send(signal.SIGCONT)


async def test_without_a_terminal_the_card_has_to_be_named(tmp_path: Path) -> None:
    async with mid_shift(tmp_path) as site:
        await garbage_in_the_journal(site)
        code, out = await site.failback()
        assert (code, f"--card {site.card()}" in out) == (3, True), out


async def test_a_journal_that_is_older_than_its_card_moves_nothing_before_a_person_has_looked(tmp_path: Path) -> None:
    async with mid_shift(tmp_path) as site:
        assert await site.daemon.end() == 0
        shutil.copytree(site.state, tmp_path / "backup")
        await site.daemon.start()
        await site.operator.post("approve")
        await site.operator.at("green", 60)
        assert await site.daemon.end() == 0
        for file in site.state.glob("journal.sqlite*"):
            file.unlink()
        for file in (tmp_path / "backup").glob("journal.sqlite*"):
            shutil.copy(file, site.state)
        await site.daemon.start()
        seen = await site.operator.look()
        assert "older one, or another" in seen["distrust"]
        assert json.loads(site.card().read_text())["points"]["front"]["present"] == [{"blue": 40, "green": 60}]
        assert (seen["switch"]["condition"], seen["switch"]["halt"]["cause"]) == ("halted", "card")
        assert not next(one for one in seen["options"] if one["verb"] == "resume")["lawful"]
        await site.operator.post("adopt", reason="looked at HAProxy")
        assert (await site.operator.look())["distrust"] == ""


def _socket(site: Site) -> str:
    card: dict[str, Any] = json.loads(site.card().read_text())
    return str(json.loads(card["config"])["switch_points"][0]["socket"])


def _weight(address: str, server: str) -> int:
    """The server's weight, as HAProxy tells it."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(address)
        sock.sendall(f"get weight web/{server}\n".encode())
        return int(sock.makefile().read().split()[0])


async def _haproxy(site: Site, *commands: str) -> None:
    for command in commands:
        reader, writer = await asyncio.open_unix_connection(_socket(site))
        writer.write(f"{command}\n".encode())
        await writer.drain()
        await reader.read()
        writer.close()
