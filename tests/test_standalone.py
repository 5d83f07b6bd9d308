"""What an operator's process makes sure of before it moves anything without a daemon."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bluegreen.cards import CardKeeper
from bluegreen.errors import Locked, Refused, StoreError
from bluegreen.standalone import Receipt, Standalone, nobody_living, standalone
from bluegreen.store.lock import Lock
from bluegreen.store.receipt import ReceiptStore
from tests.fakes import World
from tests.virtual import VirtualClock, run


async def nothing() -> None:
    """Nothing is to be done when the operator has confirmed."""


@pytest.mark.parametrize("distrust", [False, True], ids=["drift", "an older journal"])
def test_where_journal_and_balancers_do_not_agree_nothing_is_moved_and_the_card_is_named(
    tmp_path: Path, distrust: bool
) -> None:
    world = World(tmp_path)
    keeper = CardKeeper(tmp_path, "web", world.config, VirtualClock())

    async def main() -> None:
        async with world.engine() as driver:
            driver.engine.card = keeper  # it is only named: nothing is written on it in virtual time
            alone = Standalone(driver.fleet, nothing)
            await driver.deploy()
            await driver.ended()
            alone.must_agree("web")
            if distrust:
                await driver.engine.book.distrust("the card knows more")
            else:
                world.balancer.set_weights({"blue": 300, "green": 700})
                await driver.until(lambda: driver.engine.state.drift)
            with pytest.raises(Refused, match="nothing was moved") as refused:
                alone.must_agree("web")
            said = "bluegreen failback web --card" if distrust else "by its own commands (they are on the card"
            assert f"{said} {keeper.path}" in refused.value.advice
            assert "systemctl start bluegreen" in refused.value.advice

    run(main())
    assert len(world.balancer.writes) == 3, "the deployment's own"


def test_a_state_directory_in_which_somebody_lives_is_not_passed_by_with_a_card(tmp_path: Path) -> None:
    nobody_living(tmp_path)
    lock = Lock(tmp_path / "lock")
    lock.acquire("failback")
    nobody_living(tmp_path)  # it is this process itself
    lock.release()
    code = (
        "import sys, pathlib; from bluegreen.store.lock import Lock; Lock(pathlib.Path(sys.argv[1])).acquire('daemon')"
    )
    end = "; print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code + end, str(tmp_path / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(Locked, match=rf"in use by process {other.pid} \(daemon\)"):
            nobody_living(tmp_path)
    nobody_living(tmp_path)


async def test_a_journal_is_the_daemons_to_make(tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    (tmp_path / "bluegreen.yaml").write_text("state: {directory: state}\ncontrol: {socket: c.sock}\n")
    (tmp_path / "services" / "web.yaml").write_text(SERVICE)
    with pytest.raises(StoreError, match="there is no journal at"):
        async with standalone(tmp_path / "bluegreen.yaml"):
            pass
    assert not (tmp_path / "state").exists()


def test_a_receipt_says_where_it_is_and_what_kept_it_from_being_written(tmp_path: Path) -> None:
    receipt = Receipt(ReceiptStore(tmp_path / "web.jsonl"))
    assert (receipt.path, receipt.error) == (tmp_path / "web.jsonl", "")


SERVICE = """
service: web
environments: {blue: {url: "http://127.0.0.1:1"}, green: {url: "http://127.0.0.1:2"}}
switch_points: [{kind: memory}]
deploy: {kind: command, run: ["true"]}
"""
