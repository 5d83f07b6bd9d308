"""Several operators at once, requests that come twice, and what hangs meanwhile: with real processes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bluegreen.errors import ExitCode
from tests.faults.door import Answer, Away
from tests.faults.small import at_half, bluegreen, small
from tests.programs import until

pytestmark = pytest.mark.slow

Figures = Callable[[str], None]


async def test_of_operators_who_deploy_at_once_by_http_and_command_line_one_wins(tmp_path: Path) -> None:
    async with small(tmp_path, wait="3s") as there:
        await there.nursery.start()
        await there.door.live()
        posts = [there.door.post("deployments", f"key-{number}", version=f"v{number}") for number in range(6)]
        commands = [bluegreen(there, "deploy", "web", f"c{number}") for number in range(3)]
        answers, ran = await asyncio.gather(asyncio.gather(*posts), asyncio.gather(*commands))
        running = (await there.door.look())["switch"]["id"]
        won = [a for a in answers if a.status == 202]
        assert len(won) + sum(one.code == 0 for one in ran) == 1
        assert all(running in a.document["detail"] for a in answers if a.status != 202)
        assert {a.status for a in answers} <= {202, 409}
        assert {one.code for one in ran} <= {0, ExitCode.REFUSED}
        assert all(running in one.err for one in ran if one.code)
        assert (await there.door.ended())["id"] == running


async def test_of_two_failbacks_at_once_one_wins_and_is_not_stopped_by_the_other(tmp_path: Path) -> None:
    async with small(tmp_path) as there:
        await there.nursery.start()
        await there.door.live()
        for round_ in range(5):
            await there.door.post("deployments", f"d{round_}", version=f"v{round_}")
            assert (await there.door.ended())["condition"] == "completed"
            plan = (await there.door.plan())["plan"]
            answers = await asyncio.gather(
                *[there.door.post("failback", f"{round_}-{n}", plan=plan, reason="5xx") for n in range(4)]
            )
            assert Counter(a.status for a in answers) == {202: 1, 409: 3}
            assert (await there.door.ended())["condition"] == "completed"


@pytest.mark.parametrize("verb", ["deployments", "failback"])
async def test_the_same_request_is_one_switch_at_once_and_after_a_kill(tmp_path: Path, verb: str) -> None:
    async with small(tmp_path) as there:
        life = await there.nursery.start()
        await there.door.live()
        body: dict[str, Any] = {"version": "v2"}
        if verb == "failback":
            await there.door.post("deployments", "before", version="v1")
            await there.door.ended()
            body = {"plan": (await there.door.plan())["plan"], "reason": "5xx"}
        await life.end(signal.SIGKILL)

        async def asked() -> Answer:
            return await there.door.post(verb, "the-key", **body)

        life = await there.nursery.start("balancer.write.after=kill@1")
        await there.door.live()
        at_once = await asyncio.gather(*[asked() for _ in range(5)], return_exceptions=True)
        ids = {a.document["switch"]["id"] for a in at_once if isinstance(a, Answer)}
        assert len(ids) <= 1
        assert all(isinstance(a, Away) or (isinstance(a, Answer) and a.status == 202) for a in at_once)
        await life.ended()
        await there.nursery.start()
        again = await asked()
        assert again.status == 202
        assert ids <= {again.document["switch"]["id"]}
        assert (await there.door.ended())["condition"] == "completed"
        assert (await asked()).document["switch"]["id"] == again.document["switch"]["id"]
        other = await there.door.post(verb, "the-key", **{**body, "reason": "another one"})
        assert other.status == 422
        assert "Idempotency-Key came with another request" in other.document["detail"]
        requested = [one["switch"] for one in await there.door.events() if one["kind"] == "Requested"]
        assert requested.count(again.document["switch"]["id"]) == 1
        assert len(requested) == (1 if verb == "deployments" else 2)


async def test_a_storm_of_verbs_from_many_hands_is_answered_and_ends_well(tmp_path: Path) -> None:
    async def hand(verb: str, times: int) -> Counter[int]:
        return Counter([(await there.door.post(verb, None)).status for _ in range(times)])

    async with small(tmp_path, wait="100ms") as there:
        await there.nursery.start()
        await there.door.live()
        await there.door.post("deployments", "one", version="v2")
        verbs = ["pause", "resume", "promote", "pause", "resume", "abort", "approve"]
        statuses = await asyncio.gather(*[hand(verb, 30) for verb in verbs])
        assert {status for one in statuses for status in one} <= {202, 409}
        seen = await there.door.look()
        if seen["switch"]["condition"] == "paused":
            await there.door.post("resume")
        switch = await there.door.ended()
        assert switch["condition"] in ("completed", "aborted")
        live = "green" if switch["condition"] == "completed" else "blue"
        assert (await there.door.look())["environments"][live]["weight"] == 100


PHASES = {
    "preflight": "balancer.examine.before",
    "deploy": "deployer.deploy.before",
    "smoke": "check.look.before",
}


@pytest.mark.parametrize("phase", PHASES)
async def test_a_failback_while_a_phase_hangs_is_answered_at_once_and_an_abort_ends_it(
    tmp_path: Path, phase: str, report_figures: Figures
) -> None:
    async with small(tmp_path) as there:
        await there.nursery.start(f"{PHASES[phase]}=hang", there.log)
        await there.door.live()
        await there.door.post("deployments", "one", version="v2")
        await there.door.until(lambda seen: seen["switch"]["phase"] == phase, phase)
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert (plan := await there.door.plan())["lawful"] is False
        assert "`abort`" in plan["why_not"]
        assert (await there.door.post("failback", None, plan="none", reason="5xx")).status == 409
        assert (await there.door.look())["switch"]["condition"] == "running", "what is refused stops nothing"
        assert (await there.door.post("abort")).status == 202
        report_figures(f"while the {phase} hangs, four answers: {loop.time() - began:.2f} s")
        assert (await there.door.ended())["condition"] == "aborted"


async def test_a_failback_while_a_write_hangs_halts_and_is_told_so_in_time_and_goes_back_after_a_kill(
    tmp_path: Path, report_figures: Figures
) -> None:
    async with small(tmp_path) as there:
        life = await there.nursery.start("balancer.write.after=hang@2", there.log)
        await there.door.live()
        await there.door.post("deployments", "one", version="v2")
        await until(lambda: there.passed().count("balancer.write.after") == 2, 90)
        loop = asyncio.get_running_loop()
        began = loop.time()
        answer = await there.door.failback("5xx")
        report_figures(f"while a write hangs, a failback's plan and its answer: {loop.time() - began:.2f} s")
        assert answer.status == 409
        assert "is halted, but a write that is under way has no answer yet" in answer.document["detail"]
        assert (await there.door.look())["switch"]["condition"] == "halted"
        await life.end(signal.SIGKILL)
        await there.nursery.start()
        assert (await there.door.look())["switch"]["condition"] == "halted", "a halt survives"
        await there.door.failback("5xx")
        assert (await there.door.ended())["condition"] == "completed"
        assert (await there.door.look())["environments"]["blue"]["weight"] == 100


async def test_a_failback_to_a_balancer_that_cannot_be_read_halts_and_says_why(
    tmp_path: Path, report_figures: Figures
) -> None:
    async with small(tmp_path, wait="60s") as there:
        await there.nursery.start()
        await there.door.live()
        await there.door.post("deployments", "one", version="v2")
        await at_half(there)
        balancer = there.balancer("us")
        before = balancer.read_text()
        balancer.write_text("broken")
        loop = asyncio.get_running_loop()
        began = loop.time()
        plan = await there.door.plan()
        assert [one["switch_point"] for one in plan["traffic"]] == ["eu"], "what cannot be read is not shown as known"
        assert (await there.door.post("failback", None, plan=plan["plan"], reason="5xx")).status == 202
        switch = await there.door.ended()
        report_figures(f"from the plan to the halt that says what cannot be read: {loop.time() - began:.2f} s")
        assert (switch["condition"], switch["kind"]) == ("halted", "failback")
        assert "us: weights: cannot be read" in switch["halt"]["summary"]
        balancer.write_text(before)
        await there.door.post("resume")
        assert (await there.door.ended())["condition"] == "completed"


async def test_a_reload_at_any_moment_of_a_switch_changes_only_the_next_one(tmp_path: Path) -> None:
    async with small(tmp_path, wait="300ms") as there:
        life = await there.nursery.start()
        await there.door.live()
        await there.door.post("deployments", "one", version="v2")
        for number in range(10):
            there.write_service(wait="300ms", smoke="true" if number % 2 else "false")
            os.kill(life.pid, signal.SIGHUP)
            await asyncio.sleep(0.05)
        there.write_service(smoke="false")
        os.kill(life.pid, signal.SIGHUP)
        assert (await there.door.ended())["condition"] == "completed"
        await there.door.until(
            lambda _: "configuration reloaded" in (tmp_path / "daemon.log").read_text().splitlines()[-1]
            or (tmp_path / "daemon.log").read_text().count("configuration reloaded") >= 2, "the reload"
        )  # fmt: skip
        assert (await there.door.post("deployments", "two", version="v3")).status == 202
        switch = await there.door.ended()
        assert (switch["condition"], switch["phase"]) == ("halted", "smoke"), "the next one has the new configuration"
