"""The card of a service: current before a write is sent, whole or not at all, and of use to a person with a shell."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bluegreen import byhand, cards
from bluegreen.cards import Card, CardBroken, CardKeeper
from bluegreen.config.load import service_json
from bluegreen.config.schema import Service
from bluegreen.errors import JournalBroken, Refused
from bluegreen.model import WHOLE, Plan, Weights
from bluegreen.standalone import from_card
from bluegreen.store.memory import MemoryStore
from bluegreen.store.receipt import ReceiptStore, read_receipt
from tests.builders import DEPLOYED, SHIFTING, at, journal_of, state_after
from tests.fakes import World
from tests.virtual import VirtualClock

HAPROXY = {"kind": "haproxy", "name": "front", "socket": "/run/haproxy.sock", "backend": "web",
           "servers": {"blue": ["b1", "b2"], "green": ["g1"]}}  # fmt: skip
GROUP = "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/g/1"
LISTENER = "arn:aws:elasticloadbalancing:eu-west-1:1:listener/app/web/1/2"
ELBV2 = {"kind": "elbv2", "name": "alb", "region": "eu-west-1", "listener": LISTENER,
         "target_groups": {"blue": "web-blue", "green": GROUP}}  # fmt: skip


def _config(*points: Mapping[str, object]) -> str:
    document = {
        "service": "web",
        "environments": {"blue": {"url": "http://b"}, "green": {"url": "http://g"}},
        "switch_points": list(points),
        "deploy": {"kind": "command", "run": ["true"]},
    }
    return service_json(Service.model_validate(document))


MEMORY = _config({"kind": "memory", "name": "lb"})


def _card(script: str) -> Card:
    return cards.make(state_after(script), MEMORY, (7, "abc"), at(0))


def test_a_card_tells_where_a_failback_goes_and_what_may_be_seen_now():
    card = _card(DEPLOYED)
    assert (card.target, card.source, card.live) == ("blue", "green", "green")
    assert [dict(one) for one in card.points["lb"].present] == [{"blue": 0, "green": 1000}]


def test_a_write_under_way_is_on_the_card_with_both_outcomes():
    card = _card(f"{SHIFTING} set:50 watched:60 reached:0 writing:500")
    assert [dict(one) for one in card.points["lb"].present] == [
        {"blue": 950, "green": 50},
        {"blue": 500, "green": 500},
    ]


def test_a_card_says_why_no_failback_is_possible():
    card = _card("")
    assert card.target is None
    assert "no warm environment" in card.why_not


def test_a_failback_under_way_is_finished_from_its_card():
    card = _card(f"{DEPLOYED} failback proven")
    assert (card.target, card.source) == ("blue", "green")


def test_a_card_is_read_as_it_was_written_and_not_otherwise(tmp_path: Path):
    path, card = tmp_path / "web.json", _card(DEPLOYED)
    cards.write(path, card.text())
    assert cards.read(path) == card
    document = json.loads(path.read_text())
    for wrong in (
        {**document, "target": "green"},
        {**document, "digest": ""},
        {**document, "schema": 99},
        {**document, "more": 1},
        {"schema": 1},
    ):
        path.write_text(json.dumps(wrong))
        with pytest.raises(CardBroken):
            cards.read(path)
    path.write_text("{")
    with pytest.raises(CardBroken):
        cards.read(path)


def test_the_card_is_current_before_a_write_is_sent(tmp_path: Path):
    world = World(tmp_path, plan=Plan((), (50, 500, WHOLE)), config=MEMORY)
    keeper = CardKeeper(tmp_path, "web", MEMORY, VirtualClock())
    seen: list[list[dict[str, int]]] = []
    write = world.balancer.write

    async def looked(expected: Weights, target: Weights) -> None:
        seen.append([dict(one) for one in cards.read(keeper.path).points["point"].present])
        assert dict(target) in seen[-1]
        await write(expected, target)

    world.balancer.write = looked  # type: ignore[method-assign]

    async def main() -> None:
        async with world.engine(keeper) as driver:
            await driver.deploy()
            await driver.ended()

    asyncio.run(main())
    assert len(seen) == 3
    card = cards.read(keeper.path)
    assert (card.target, card.head[0]) == ("blue", len(world.published))


async def test_a_card_stays_as_it_is_while_the_journal_is_not_to_be_believed(tmp_path: Path):
    store, keeper = MemoryStore(), CardKeeper(tmp_path, "web", MEMORY, VirtualClock())
    entries = await store.append("web", 0, journal_of(DEPLOYED))
    await keeper.keep(state_after(DEPLOYED), entries[-1])
    before = cards.read(keeper.path)
    older = replace(state_after(""), distrust="the card knows more")
    await keeper.keep(older, entries[0])
    assert cards.read(keeper.path) == before
    assert (before.live, before.head[0]) == ("green", entries[-1].seq)


def test_a_card_is_found_by_a_configuration_that_is_broken_elsewhere(tmp_path: Path):
    config = tmp_path / "bluegreen.yaml"
    config.write_text("state: {directory: here}\nservices: nowhere/*.yaml\nno_such_key: 1\n")
    assert cards.card_path(config, "web") == tmp_path / "here" / "cards" / "web.json"


@pytest.mark.slow
def test_a_card_that_cannot_be_written_blocks_nothing_and_is_on_show(tmp_path: Path):
    world = World(tmp_path, plan=Plan((), (WHOLE,)), config=MEMORY)
    (tmp_path / "cards").write_text("in the way")
    keeper = CardKeeper(tmp_path, "web", MEMORY, VirtualClock())

    async def main() -> None:
        async with world.engine(keeper) as driver:
            await driver.deploy()
            assert await driver.ended() == "completed"
            assert "cannot be written" in keeper.error
            (tmp_path / "cards").unlink()
            await driver.failback()
            await driver.ended()
            assert keeper.error == ""

    asyncio.run(main())


def test_haproxys_own_commands_raise_before_they_lower():
    config = _config(HAPROXY)
    move, look = byhand.commands(config, "front", Weights.of({"blue": WHOLE, "green": 0}))
    assert [one.split("'")[1] for one in move] == [
        "set server web/b1 weight 100",
        "set server web/b2 weight 100",
        "set server web/g1 weight 0",
    ]
    assert all(one.endswith("| socat stdio /run/haproxy.sock") for one in (*move, *look))
    assert byhand.commands(config, "front", None)[0] == ()


def test_elbv2s_own_commands_name_what_a_person_has_to_fill_in():
    move, look = byhand.commands(_config(ELBV2), "alb", Weights.of({"blue": WHOLE, "green": 0}))
    assert move[0] == "aws elbv2 describe-target-groups --region eu-west-1 --names web-blue"
    assert f"modify-listener --region eu-west-1 --listener-arn {LISTENER} --default-actions" in move[1]
    assert '"TargetGroupArn": "ARN OF web-blue", "Weight": 100' in move[1]
    assert look == (f"aws elbv2 describe-listeners --region eu-west-1 --listener-arns {LISTENER}",)
    assert byhand.commands(_config(ELBV2), "alb", None)[0] == ()
    rule = {**ELBV2, "listener": None, "rule": LISTENER.replace("listener", "listener-rule")}
    groups = {"blue": GROUP, "green": GROUP}
    move, _ = byhand.commands(_config({**rule, "target_groups": groups}), "alb", Weights.of({"blue": WHOLE}))
    assert len(move) == 1
    assert "modify-rule" in move[0]


# --- receipts ---


async def _receipt(path: Path) -> ReceiptStore:
    store = ReceiptStore(path)
    first, *rest = journal_of(DEPLOYED)
    await store.append("web", 0, [first])
    assert not path.exists(), "nothing is on disk before the operator has confirmed"
    await store.begin()
    await store.append("web", 1, rest)
    return store


async def test_a_receipt_is_read_as_it_was_written(tmp_path: Path):
    path = tmp_path / "receipts" / "web.1.jsonl"
    store = await _receipt(path)
    assert read_receipt(path) == await store.read()
    assert (await store.writable()).ok
    with path.open("a") as file:
        file.write('{"body": "cut o')  # a last line that was never believed
    assert read_receipt(path) == await store.read()


async def test_a_changed_receipt_is_refused(tmp_path: Path):
    path = tmp_path / "web.1.jsonl"
    await _receipt(path)
    text = path.read_text()
    for wrong in (text.replace("blue", "teal", 1), text[10:], "\n".join(text.split("\n")[1:])):
        path.write_text(wrong)
        with pytest.raises(JournalBroken):
            read_receipt(path)
    with pytest.raises(JournalBroken):
        read_receipt(tmp_path / "none.jsonl")


async def test_a_receipt_that_cannot_be_written_goes_to_standard_error(tmp_path: Path, capsys):
    (tmp_path / "receipts").write_text("in the way")
    store = await _receipt(tmp_path / "receipts" / "web.1.jsonl")
    assert "cannot be written" in store.error
    assert capsys.readouterr().err.count("RECEIPT ") == len(await store.read())


@pytest.mark.parametrize(
    ("script", "spoil", "why"),
    [
        (DEPLOYED, None, "lb cannot be read"),
        ("", "", "the card has no failback"),
        (DEPLOYED, "[]", "lb shows blue 50% green 50%; the card of .* knows nothing of it"),
    ],
    ids=["unreadable", "no failback", "not on the card"],
)
async def test_a_failback_from_a_card_moves_nothing_where_card_and_balancer_do_not_agree(
    tmp_path: Path, script: str, spoil: str | None, why: str
):
    card, shown = _card(script), tmp_path / "memory-web-lb.json"
    path = tmp_path / "cards" / "web.json"
    path.parent.mkdir()
    shown.write_text("no JSON" if spoil is None else '{"blue": 1, "green": 1}')
    with pytest.raises(Refused, match=why):
        async with from_card(replace(card, points={}) if spoil == "[]" else card, path, "a test"):
            raise AssertionError("nothing is offered")


# --- the journal is older than the card ---


async def test_a_journal_that_does_not_have_the_cards_entry_is_seen(tmp_path: Path):
    store, keeper = MemoryStore(), CardKeeper(tmp_path, "web", MEMORY, VirtualClock())
    assert await keeper.newer_than(store) == ""
    entries = await store.append("web", 0, journal_of(DEPLOYED))
    cards.write(
        keeper.path, cards.make(state_after(DEPLOYED), MEMORY, (entries[-1].seq, entries[-1].hash), at(0)).text()
    )
    assert await keeper.newer_than(store) == ""
    older, other = MemoryStore(), MemoryStore()
    await older.append("web", 0, journal_of(SHIFTING))
    await other.append("web", 0, journal_of(f"{DEPLOYED} failback proven"))
    assert "ends before it" in await keeper.newer_than(older)
    assert await keeper.newer_than(other) == "", "it goes on where the card was written"
    another = MemoryStore()
    await another.append("web", 0, [*journal_of(DEPLOYED)[:-1], *journal_of(f"{SHIFTING} stopped")[-1:]])
    assert "another entry" in await keeper.newer_than(another)
    keeper.path.write_text("{")
    assert await keeper.newer_than(older) == "", "a broken card proves nothing"
