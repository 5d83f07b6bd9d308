"""The driver against real HAProxy processes that forget, refuse, hang, or whose answers are lost."""

import asyncio
import os
import signal
import stat
from pathlib import Path

import pytest

from bluegreen.balancers.runtime_api import RuntimeApi
from bluegreen.errors import AccessDenied, BalancerError, Drifted, OutcomeUnknown, Rejected, Unreachable
from bluegreen.model import Weights
from tests.balancers.haproxy_rig import ALL_BLUE, ALL_GREEN, STEP, TWO_EACH, Relay, examined, stage
from tests.balancers.web import until

pytestmark = pytest.mark.slow

# --- reloads ---


async def test_a_reload_forgets_and_the_next_read_says_so(short: Path, binary: str) -> None:
    async with stage(short, binary) as there:
        balancer = there.balancer()
        await balancer.write(ALL_BLUE, ALL_GREEN)
        await there.haproxy.reload()
        assert await balancer.read() == ALL_BLUE
        with pytest.raises(Drifted):
            await balancer.write(ALL_GREEN, STEP)


async def test_weights_that_were_written_through_survive_a_reload(short: Path, binary: str) -> None:
    async with stage(short, binary, state=True) as there:
        balancer = there.balancer(state_file=str(there.state_file))
        assert (await examined(balancer))["survives a reload"].ok
        for before, after in ((ALL_BLUE, STEP), (STEP, ALL_GREEN)):
            await balancer.write(before, after)
            await there.haproxy.reload()
            assert (await balancer.read()).same_split(after)


async def test_the_state_file_keeps_its_mode_and_its_owner(short: Path, binary: str) -> None:
    async with stage(short, binary, state=True) as there:
        there.state_file.write_text("")
        there.state_file.chmod(0o640)
        if os.geteuid() == 0:
            os.chown(there.state_file, 65534, 65534)
        before = there.state_file.stat()
        await there.balancer(state_file=str(there.state_file)).write(ALL_BLUE, STEP)
        after = there.state_file.stat()
        assert "green-1" in there.state_file.read_text()
        assert (stat.S_IMODE(after.st_mode), after.st_uid) == (0o640, before.st_uid)
        assert not there.state_file.with_name("haproxy.state.new").exists()


async def test_weights_that_were_not_written_through_are_neither_hidden_nor_taken_for_unwritten(
    short: Path, binary: str
) -> None:
    async with stage(short, binary) as there:
        balancer = there.balancer(state_file=str(short / "gone" / "haproxy.state"))
        finding = (await examined(balancer))["survives a reload"]
        assert (finding.ok, "cannot be written" in finding.summary) == (False, True)
        with pytest.raises(OutcomeUnknown, match="was not written"):
            await balancer.write(ALL_BLUE, STEP)
        assert (await balancer.read()).same_split(STEP)  # what the look-up finds


# --- refusals and lost answers ---


@pytest.mark.parametrize("level", ["user", "operator"])
async def test_a_socket_that_may_not_write_is_denied(short: Path, binary: str, level: str) -> None:
    async with stage(short, binary, level=level) as there:
        balancer = there.balancer()
        finding = (await examined(balancer))["permitted"]
        assert (finding.ok, level in finding.summary, "level admin" in finding.advice) == (False, True, True)
        with pytest.raises(Rejected, match="it has web"):
            await there.balancer(backend="shop").read()
        with pytest.raises(AccessDenied, match="level admin"):
            await balancer.write(ALL_BLUE, STEP)
        assert await balancer.read() == ALL_BLUE


@pytest.mark.parametrize("fault", ["drop", "hang", "half"])
async def test_a_write_whose_answer_is_lost_is_unknown_and_was_sent_once(short: Path, binary: str, fault: str) -> None:
    async with stage(short, binary) as there:
        relay = Relay(there.haproxy.socket, short / "relay.sock", fault)
        async with relay.running():
            balancer = there.balancer(socket=str(relay.path), timeout="3s" if fault == "hang" else "30s")
            with pytest.raises(OutcomeUnknown):
                await balancer.write(ALL_BLUE, STEP)
        assert await there.balancer().read() == STEP
        assert sum(line.startswith("set ") for line in relay.lines) == 1


async def test_a_haproxy_that_hangs_ends_no_call_late(short: Path, binary: str) -> None:
    async with stage(short, binary) as there:
        balancer = there.balancer(timeout="200ms")
        info = await there.say("show info")
        worker = next(int(line.split()[1]) for line in info.splitlines() if line.startswith("Pid:"))

        async def stopped() -> bool:
            return Path(f"/proc/{worker}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"

        loop = asyncio.get_running_loop()
        os.kill(worker, signal.SIGSTOP)
        try:
            await until(stopped, "the worker is stopped")
            began = loop.time()
            with pytest.raises(Unreachable):
                await balancer.write(ALL_BLUE, STEP)
            assert [finding.ok for finding in await balancer.examine()] == [False]
            assert loop.time() - began < 30
        finally:
            os.kill(worker, signal.SIGCONT)
        assert await there.balancer().read() == ALL_BLUE


@pytest.mark.parametrize(
    ("changes", "what", "advice"),
    [
        ({"backend": "shop"}, "has no backend shop", "mend `backend`: it has web"),
        ({"servers": {"blue": ["blue-1"], "green": ["g", "h"]}}, "has no server g, h", "it has blue-1, green-1"),
        ({"servers": {"blue": ["blue-1; show env"], "green": ["green-1"]}}, "has no server blue-1; show env", "it has"),
        ({"backend": "web; show env"}, "is not one command", "mend the names"),
    ],
)
async def test_what_is_not_there_is_refused_by_name(
    short: Path, binary: str, changes: dict[str, object], what: str, advice: str
) -> None:
    async with stage(short, binary) as there:
        balancer = there.balancer(**changes)
        for call in (balancer.read, balancer.targets, lambda: balancer.write(ALL_BLUE, STEP)):
            with pytest.raises(BalancerError) as refusal:
                await call()
            assert isinstance(refusal.value, Rejected)
            assert what in refusal.value.what
            assert advice in refusal.value.advice
        finding = (await examined(balancer))["servers"]
        assert (finding.ok, what in finding.summary) == (False, True)
        assert await there.weights() == ALL_BLUE


async def test_a_server_in_two_environments_is_found(short: Path, binary: str) -> None:
    async with stage(short, binary) as there:
        balancer = there.balancer(servers={"blue": ["blue-1"], "green": ["blue-1"]})
        finding = (await examined(balancer))["servers"]
        assert (finding.ok, finding.summary) == (False, "named more than once: blue-1")


@pytest.mark.parametrize(
    ("balance", "ok", "takes"),
    [
        ("static-rr", False, False),
        ("first", False, True),
        ("source", True, False),
        ("leastconn", True, True),
        ("random", True, True),
    ],
)
async def test_an_algorithm_that_does_not_follow_weights_is_found(
    short: Path, binary: str, balance: str, ok: bool, takes: bool
) -> None:
    async with stage(short, binary, balance=balance) as there:
        balancer = there.balancer()
        finding = (await examined(balancer))["weighted"]
        assert (finding.ok, bool(finding.advice)) == (ok, balance not in ("leastconn", "random"))
        if takes:
            await balancer.write(ALL_BLUE, STEP)
        else:
            with pytest.raises(Rejected, match="static LB algorithm"):
                await balancer.write(ALL_BLUE, STEP)
        assert (await balancer.read()).same_split(STEP if takes else ALL_BLUE)


async def test_commands_taken_in_part_are_unknown_and_refused_as_a_whole_are_refused(short: Path, binary: str) -> None:
    async with stage(short, binary) as there:
        api = RuntimeApi(str(there.haproxy.socket), 5.0)
        with pytest.raises(OutcomeUnknown, match=r"refused 1 of 2 commands: No such server"):
            await api.change(["set server web/green-1 weight 7", "set server web/gone weight 7"])
        assert await there.weights() == Weights.of({"blue": 100, "green": 7})
        with pytest.raises(Rejected, match="between 0 and 256"):
            await api.change(["set server web/green-1 weight 300", "set server web/blue-1 weight 300"])
        with pytest.raises(OutcomeUnknown, match="refused 1 of 2"):
            await api.change(["nonsense", "set server web/green-1 weight 8"])
        assert await there.weights() == Weights.of({"blue": 100, "green": 8})


@pytest.mark.parametrize("target", [{"blue": 1, "green": 0}, {"blue": 0, "green": 600}, {"blue": 100, "red": 100}])
async def test_numbers_that_are_not_native_are_refused(short: Path, binary: str, target: dict[str, int]) -> None:
    async with stage(short, binary, TWO_EACH) as there:
        with pytest.raises(Rejected):
            await there.balancer().write(ALL_BLUE, Weights.of(target))
        assert await there.weights() == Weights.of({"blue": 200, "green": 0})
