"""A HAProxy of our own: it starts or says why not, and never outlives who started it."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest

from bluegreen.balancers.embedded import Server, configuration, embedded, find_binary
from bluegreen.balancers.runtime_api import RuntimeApi
from bluegreen.errors import BlueGreenError
from tests.balancers.haproxy_rig import DEBIAN, NO_WHEEL, executable
from tests.balancers.web import until

pytestmark = pytest.mark.slow

STARTER = """
import asyncio, sys
from pathlib import Path
from bluegreen.balancers.embedded import Server, configuration, embedded

async def main(directory, binary, reloads):
    config = configuration(directory, str(directory / "front.sock"), "web", [Server("blue", "127.0.0.1:1", 1)])
    async with embedded(directory, config, binary) as haproxy:
        for _ in range(reloads):
            await haproxy.reload()
        print(haproxy.pid, await haproxy._worker(), flush=True)
        await asyncio.sleep(60)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
"""


def lives(pid: int) -> bool:
    """Whether a process is there and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def small(directory: Path) -> str:
    return configuration(directory, str(directory / "front.sock"), "web", [Server("blue", "127.0.0.1:1", 1)])


@pytest.mark.parametrize("reloads", [0, 2])
async def test_it_ends_when_the_process_that_started_it_is_killed(short: Path, binary: str, reloads: int) -> None:
    arguments = (sys.executable, "-c", STARTER, str(short), executable(binary), str(reloads))
    process = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(90):
            pids = [int(pid) for pid in (await process.stdout.readline()).split()]
        assert len(pids) == 2
        assert lives(pids[0]), "the master; a worker may have been replaced since"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        await process.wait()

    async def gone() -> bool:
        return not any(lives(pid) for pid in pids)

    await until(gone, "master and worker end with their parent")


async def test_it_answers_while_it_is_open_and_is_gone_afterwards(short: Path, binary: str) -> None:
    async with embedded(short, small(short), executable(binary)) as haproxy:
        assert "Pid:" in await RuntimeApi(str(haproxy.socket), 2.0).ask("show info")
        assert oct(haproxy.socket.stat().st_mode)[-3:] == "600"
        pid = haproxy.pid
        assert os.getsid(pid) == pid  # a Ctrl-C at the terminal is not its affair
    assert not lives(pid)


async def test_a_configuration_that_it_does_not_take_is_told_in_its_words(short: Path, binary: str) -> None:
    with pytest.raises(BlueGreenError, match="unknown keyword 'nonsense'"):
        async with embedded(short, "nonsense\n" + small(short), executable(binary)):
            pass


async def test_what_is_no_haproxy_is_told(short: Path) -> None:
    for no_haproxy in (str(short / "nothing"), str(short)):
        with pytest.raises(BlueGreenError, match="cannot be started"):
            async with embedded(short, small(short), no_haproxy):
                pass


def test_a_haproxy_is_found_where_there_is_one() -> None:
    found = find_binary()
    assert (found is None) == (NO_WHEEL and not DEBIAN.exists())
    if not NO_WHEEL:
        assert found == executable("wheel")
