"""Feature flags on record: what changed since a deployment, who may set what, and what is offered at a halt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from bluegreen.core import events as ev
from bluegreen.core.codec import decode, encode
from bluegreen.core.flag_ways import NAMED_MAX, WAYS_MAX, SetFlag, admit, ways
from bluegreen.core.halts import options
from bluegreen.core.notes.flags import (
    ACTS_MAX,
    SNAPSHOTS_MAX,
    Changed,
    FlagNotSet,
    FlagSet,
    FlagSetLost,
    FlagSetStarted,
    FlagsSeen,
    news,
)
from bluegreen.core.phases import apply
from bluegreen.core.state import ServiceState
from bluegreen.errors import NotFound, Refused, StateMoved
from tests.builders import DAEMON, OPERATOR, SHIFTING, at, record, state_after, the_switch

THEN = {"search": "off", "limit": "5", "old": "on"}
NOW = {"search": "on", "limit": "7", "new": "on"}
HALF = f"{SHIFTING} set:50"
ORDER = FlagSetStarted("search", "off", "on")


def after(state: ServiceState, *events: ev.Event, by: str = DAEMON, reason: str = "") -> ServiceState:
    """The state some entries further; each belongs to the open switch."""
    for event in events:
        switch = state.open_switch.id if state.open_switch else None
        state = apply(state, record(event, switch, by, reason, float(state.version)))
    return state


def seen(when: str, flags: Mapping[str, str], of: str = "s1", **more: Any) -> FlagsSeen:
    return FlagsSeen(when, flags, of, place="the console", **{"writable": True, **more})


def at_a_halt(then: Mapping[str, str] = THEN, now: Mapping[str, str] = NOW, **more: Any) -> ServiceState:
    state = state_after(f"{HALF} stopped")
    return after(state, seen("deploy", then, **more), seen("halt", now, "s1-h1", **more))


def asked(name: str = "search", value: str = "off", **more: object) -> SetFlag:
    facts = {"reason": "orders fail", "shown": NOW, "place": "the console", "writable": True, **more}
    return SetFlag(name, value, **facts)  # type: ignore[arg-type]


# --- what changed ---


def test_the_difference_has_what_changed_what_came_and_what_went():
    part = at_a_halt().notes.flags
    assert part.change_unknown() == ""
    assert part.changed_since_deploy() == (
        Changed("limit", "5", "7"),
        Changed("new", None, "on"),
        Changed("old", "on", None),
        Changed("search", "off", "on"),
    )
    assert part.at_halt is not None
    assert part.at_halt.of == "s1-h1"


def test_what_was_not_read_is_unknown_and_never_unchanged():
    state = state_after(f"{HALF} stopped")
    assert state.notes.flags.change_unknown() == "the flags were not read when the deployment began"
    broken = after(state, seen("deploy", {}, error="no answer"), seen("halt", NOW, "s1-h1"))
    assert broken.notes.flags.changed_since_deploy() == ()
    assert broken.notes.flags.change_unknown() == "the flags could not be read when the deployment began: no answer"
    broken = after(state, seen("deploy", THEN), seen("halt", {}, "s1-h1", error="no answer"))
    assert broken.notes.flags.changed_since_deploy() == ()
    assert broken.notes.flags.change_unknown() == "the flags cannot be read now: no answer"
    mended = after(broken, seen("now", {"search": "on"}))
    assert mended.notes.flags.changed_since_deploy() == (Changed("search", "off", "on"),)


def test_between_snapshots_only_what_differs_is_on_record():
    part = after(state_after(HALF), seen("deploy", THEN)).notes.flags
    assert news(part, THEN, "", "the console", writable=True) == ()
    [told] = news(part, NOW, "", "the console", writable=True)
    assert (dict(told.flags), told.gone) == ({"search": "on", "limit": "7", "new": "on"}, ("old",))
    latest = after(state_after(HALF), seen("deploy", THEN), told).notes.flags.latest
    assert latest is not None
    assert latest.flags == NOW
    [broken] = news(part, None, "no answer", "the console", writable=True)
    assert (
        news(after(state_after(HALF), seen("deploy", THEN), broken).notes.flags, None, "again", "", writable=True) == ()
    )


def test_a_flag_that_was_set_is_known_without_another_reading():
    state = after(at_a_halt(), ORDER, by=OPERATOR, reason="orders fail")
    assert state.notes.flags.setting["search"].by == OPERATOR
    state = after(state, FlagSet("search", "on", "off"))
    assert "search" not in {one.name for one in state.notes.flags.changed_since_deploy()}
    [act] = state.notes.flags.acts
    assert (act.name, act.before, act.value, act.by, act.reason, act.outcome) == (
        "search", "on", "off", OPERATOR, "orders fail", "set",
    )  # fmt: skip
    assert the_switch(state).halt is not None, "setting a flag ends no halt"


def test_while_an_order_is_in_doubt_nobody_says_what_changed():
    state = after(at_a_halt(), ORDER, FlagSetLost("search", "no answer"))
    assert state.notes.flags.changed_since_deploy() == ()
    assert state.notes.flags.change_unknown() == "it is not known whether search was set"
    state = after(state, FlagNotSet("search", "search still shows on"))
    assert Changed("search", "off", "on") in state.notes.flags.changed_since_deploy()
    assert state.notes.flags.acts[-1].outcome == "not set"


def test_each_deployment_has_its_own_snapshot_and_memory_has_a_bound():
    state = state_after(HALF)
    for number in range(SNAPSHOTS_MAX + 5):
        state = after(state, seen("deploy", {"search": "on" if number % 2 else "off"}, f"s{number}"))
    part = state.notes.flags
    assert len(part.deploys) == SNAPSHOTS_MAX
    assert part.at_deploy("s1") is None
    assert part.changed_since_deploy(f"s{SNAPSHOTS_MAX}") == ()
    assert part.changed_since_deploy(f"s{SNAPSHOTS_MAX + 3}") == (Changed("search", "on", "off"),)
    for _ in range(ACTS_MAX + 5):
        state = after(state, ORDER, FlagSet("search", "on", "off"))
    assert len(state.notes.flags.acts) == ACTS_MAX


def test_an_outcome_without_an_order_changes_nothing():
    state = at_a_halt()
    assert after(state, FlagNotSet("search", "odd"), FlagSetLost("search", "odd")).notes.flags == state.notes.flags


@pytest.mark.parametrize(
    "event",
    [seen("now", {"a": "on"}, gone=("b",)), ORDER, FlagSet("a", "on", "off", recovered=True), FlagSetLost("a", "why")],
)
def test_what_is_on_disk_reads_back_the_same(event: ev.Event):
    kind, data = encode(event)
    assert decode(kind, json.loads(json.dumps(data))) == event


# --- who may set what ---


def test_an_order_is_an_intent_with_what_was_shown():
    assert admit(asked(), at_a_halt()) == FlagSetStarted("search", "off", "on")
    assert admit(asked(halt="s1-h1", expected="on"), at_a_halt()).halt == "s1-h1"
    assert admit(asked("limit", "3"), at_a_halt()).value == "3"
    assert admit(asked(), state_after(HALF)).name == "search", "a flag may be set at any time"


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        (asked(reason="  "), Refused, "setting a flag needs a reason; say why: --reason TEXT"),
        (asked("serch"), NotFound, "web has no flag 'serch'; known flags: limit, new, search"),
        (asked(writable=False), Refused, "its provider can only be read; set it there: the console"),
        (asked(value="on"), Refused, "search is on already"),
        (asked(value="true"), Refused, "search is on: it is not set to 'true'; wanted on or off"),
        (asked(expected="off"), StateMoved, "search is on now, not off"),
        (asked(halt="s1-h9"), StateMoved, "the answer is to halt s1-h9; the halt now is s1-h1"),
    ],
)
def test_what_is_refused_says_why(request_: SetFlag, error: type[Refused | NotFound], words: str):
    with pytest.raises(error) as refused:
        admit(request_, at_a_halt())
    assert words in str(refused.value)


def test_a_stale_answer_is_refused_where_nothing_is_halted():
    with pytest.raises(StateMoved, match="nothing is halted now"):
        admit(asked(halt="s1-h1"), state_after(HALF))


def test_a_second_order_for_the_same_flag_waits_for_the_first():
    state = after(at_a_halt(), ORDER, by=OPERATOR, reason="why")
    with pytest.raises(Refused, match="search is being set to off already"):
        admit(asked(), state)
    assert admit(asked("limit", "5"), state).name == "limit"


def test_a_refusal_names_a_few_of_many_flags():
    many = {f"flag-{number:03}": "on" for number in range(100)}
    with pytest.raises(NotFound, match=f"and {100 - NAMED_MAX} more"):
        admit(asked("x", shown=many), at_a_halt())


# --- what is offered ---


def test_at_a_halt_each_changed_flag_is_offered_back_before_the_failback():
    found = options(at_a_halt(), ("blue", "green"), at(0))
    verbs = [option.verb for option in found if option.lawful]
    assert verbs.index("failback") == verbs.index("flag") + verbs.count("flag")
    offered = [option for option in found if option.verb == "flag"]
    assert [option.command for option in offered] == [
        'bluegreen flag web limit 5 --reason "…"',
        'bluegreen flag web new off --reason "…"',
        'bluegreen flag web search off --reason "…"',
    ]
    assert offered[2].effect == "none on the balancer; search goes off for everybody that the provider serves"
    assert offered[0].effect == "none on the balancer; limit goes to 5 for everybody that the provider serves"


def test_a_flag_of_the_release_is_offered_though_it_never_changed():
    state = at_a_halt({"search": "on", "other": "on"}, {"search": "on", "other": "on"})
    manifest = [{"kind": "flag", "id": "search"}, {"kind": "schema", "id": "other"}, {"kind": "flag", "id": "gone"}, 7]
    state = replace(state, switch=replace(the_switch(state), changes=json.dumps(manifest)))
    assert [way.name for way in ways(state)] == ["search"]
    for broken in ("{", "7", '{"kind": "flag"}', '[{"kind": "flag", "id": 5}]'):
        state = replace(state, switch=replace(the_switch(state), changes=broken))
        assert list(ways(state)) == []


def test_what_cannot_be_set_from_here_says_where():
    [*offered] = [one for one in options(at_a_halt(writable=False), ("blue", "green"), at(0)) if one.verb == "flag"]
    assert {option.lawful for option in offered} == {False}
    assert offered[-1].why_not == "the provider of search can only be read; set it there: the console"


def test_nothing_is_offered_where_nothing_is_halted_known_or_left_to_do():
    assert list(ways(after(state_after(HALF), seen("deploy", THEN), seen("now", NOW)))) == []
    assert list(ways(state_after(f"{HALF} stopped"))) == []
    assert list(ways(at_a_halt(error="no answer"))) == []
    assert [way.name for way in ways(after(at_a_halt(), ORDER))] == ["limit", "new"]


def test_a_name_that_a_shell_would_obey_is_quoted():
    state = at_a_halt({}, {"a; rm -rf /": "on"})
    [way] = ways(state)
    assert way.command == "bluegreen flag web 'a; rm -rf /' off --reason \"…\""


def test_many_changes_are_offered_up_to_a_bound():
    state = at_a_halt({}, {f"flag-{number:03}": "on" for number in range(100)})
    assert len(list(ways(state))) == WAYS_MAX


def test_a_flag_that_was_set_before_any_reading_is_only_an_act():
    part = after(state_after(HALF), ORDER, FlagSet("search", "on", "off")).notes.flags
    assert part.latest is None
    assert [one.outcome for one in part.acts] == ["set"]
