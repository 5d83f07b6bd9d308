"""The report on a failback, over journals: what is known to be safe, what is not, and what nobody knows."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.core import admit as ad
from bluegreen.core.failback import report
from bluegreen.core.failback_facts import Clients, FlagMoved, PointFacts
from bluegreen.core.forward import moved_forward
from bluegreen.core.manifest import Change, ChangeKind, Compatible, Direction, on_record
from bluegreen.core.readiness import Proof, Readiness
from bluegreen.core.state import PAST_MAX, ServiceState
from bluegreen.core.verdicts import Verdict, clock
from bluegreen.errors import StateMoved
from bluegreen.model import UNPROVEN, Finding
from tests.builders import DEPLOYED, SHIFTING, at, failback, the_switch
from tests.core import report_stories as stories
from tests.core.report_stories import (
    AT_FIVE,
    BACK,
    BACK_FROM_FIVE,
    CONTRACT,
    DATA,
    EXPAND,
    FIX,
    THREE,
    UNSURE,
    facts,
    line,
    report_of,
    state_of,
)

SAFE, UNKNOWN, UNSAFE = Verdict.SAFE, Verdict.UNKNOWN, Verdict.UNSAFE


# --- manifests ---


def test_a_contract_migration_and_a_security_fix_are_both_unsafe_and_come_first():
    made = report_of(state_of(DEPLOYED, ("v2", (CONTRACT, FIX, EXPAND))))
    assert [one.id for one in made.unsafe()] == ["point-of-no-return", "schema:orders", "security:tls"]
    assert made.lines[:3] == made.unsafe()
    assert "CVE-2026-1 (high) is open again on blue" in line(made, "security:tls").text
    assert (
        "v2: orders lose a column. A contract takes away what blue may still use." in line(made, "schema:orders").text
    )
    assert line(made, "schema:more").verdict is SAFE


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (EXPAND, SAFE),
        (replace(EXPAND, backward_compatible=Compatible.UNKNOWN), UNKNOWN),
        (replace(EXPAND, backward_compatible=Compatible.NO), UNSAFE),
        (replace(CONTRACT, backward_compatible=Compatible.YES), UNSAFE),
        (replace(FIX, backward_compatible=Compatible.YES), UNSAFE),
        (replace(FIX, advisories=()), UNSAFE),
        (DATA, UNSAFE),
        (UNSURE, UNKNOWN),
        *[(Change(kind, "x", "s", Compatible.YES), SAFE) for kind in ChangeKind if kind is not ChangeKind.SECURITY],
        *[(Change(kind, "x", "s", Compatible.NO), UNSAFE) for kind in ChangeKind],
    ],
    ids=lambda value: str(getattr(value, "name", value)),
)
def test_a_change_is_safe_only_where_somebody_has_said_so(change: Change, verdict: Verdict):
    made = report_of(state_of(DEPLOYED, ("v2", (change,))))
    assert line(made, change.name).verdict is verdict


def test_no_manifest_is_an_unknown_line_and_an_empty_one_is_not_the_same():
    none, empty = report_of(state_of(DEPLOYED, ("v2", None))), report_of(state_of(DEPLOYED, ("v2", ())))
    assert line(none, "manifest:v2").verdict is UNKNOWN
    assert line(none, "point-of-no-return").verdict is UNKNOWN
    assert line(none, "live").verdict is UNKNOWN
    assert line(empty, "manifest:v2").verdict is SAFE
    assert line(empty, "point-of-no-return").verdict is SAFE
    assert line(empty, "live").verdict is SAFE


def test_an_older_journal_may_hold_any_manifest_and_what_is_not_understood_is_unknown():
    for text in (
        "{}",
        "[3]",
        "nonsense",
        '[{"kind": "schema"}]',
        '[{"kind": "moon", "id": "x", "summary": "s"}]',
        "null",
    ):
        made = report_of(stories.retold(stories.records_of(DEPLOYED, ("v2", ())), changes=text))
        assert line(made, "manifest:v2").verdict is UNKNOWN, text
        assert line(made, "point-of-no-return").verdict is UNKNOWN, text


def test_every_release_since_the_warm_side_was_last_live_is_in_it():
    script = f"{DEPLOYED} {DEPLOYED}"
    state = state_of(script, ("v2", (FIX,)), ("v3", (CONTRACT,)), environments=THREE)
    assert state.live == "cyan"
    to_green = report(state, facts("green", "cyan"), at(1000))
    assert [one.id for one in to_green.unsafe()] == ["point-of-no-return", "schema:orders"]
    to_blue = report(state, facts("blue", "cyan"), at(1000))
    assert [one.id for one in to_blue.unsafe()] == ["point-of-no-return", "security:tls", "schema:orders"]


def test_a_migration_of_a_release_that_was_given_up_for_the_next_one_is_in_it():
    state = state_of(
        f"requested preflight deployed broken {AT_FIVE}", ("v2", (CONTRACT,)), ("v3", ()), environments=THREE
    )
    assert [one.version for one in moved_forward(state, "blue").releases] == ["v2", "v3"]
    assert "schema:orders" in [one.id for one in report_of(state, source="cyan").unsafe()]


def test_a_release_that_was_never_brought_anywhere_is_not_in_it():
    state = state_of(f"requested halted {AT_FIVE}", ("v2", (CONTRACT,)), ("v3", ()))
    assert [one.version for one in moved_forward(state, "blue").releases] == ["v3"]


def test_what_a_side_has_lived_with_is_not_in_it():
    state = state_of(f"requested preflight deployed broken aborted {AT_FIVE}", ("v2", (CONTRACT,)), ("v3", ()))
    assert [one.version for one in moved_forward(state, "blue").releases] == ["v3"]
    again = state_of(f"{BACK_FROM_FIVE} {AT_FIVE}", ("v2", (CONTRACT,)), ("v3", ()))
    assert [one.version for one in moved_forward(again, "blue").releases] == ["v3"]


def test_a_deploy_command_that_runs_or_was_lost_counts_as_having_moved_something():
    state = state_of("requested preflight deploying", ("v2", (CONTRACT,)))
    assert [one.version for one in moved_forward(state, "blue").releases] == ["v2"]


def test_where_the_record_does_not_tell_how_a_side_was_left_that_is_unknown():
    state = replace(ServiceState("web"), live="green")
    made = report_of(state)
    assert line(made, "record").verdict is UNKNOWN
    assert line(made, "live").verdict is UNKNOWN
    assert line(made, "point-of-no-return").verdict is UNKNOWN


def test_two_releases_with_the_same_change_have_a_line_each_and_the_older_one_keeps_its_id():
    state = state_of(f"{DEPLOYED} {DEPLOYED}", ("v2", (DATA,)), ("v3", (DATA,)), environments=THREE)
    made = report(state, facts("blue", "cyan"), at(1000))
    assert line(made, "data:tax").text.startswith("v2: ")
    assert line(made, "data:tax#2").text.startswith("v3: ")
    assert len({one.id for one in made.lines}) == len(made.lines)


# --- the point of no return, and time ---


def test_a_contract_migration_ends_the_clean_way_back_at_the_time_of_its_deployment():
    state = state_of(AT_FIVE, ("v2", (CONTRACT,)))
    deployed = next(one for one in the_switch(state).operations if one.step == "deploy")
    made = line(report_of(state), "point-of-no-return")
    assert deployed.since is not None
    clean = f"clean until {clock(deployed.since)}, needs data work after {clock(deployed.at)}: v2 brought schema:orders"
    assert (made.verdict, made.text) == (UNSAFE, clean)


def test_where_nobody_has_said_it_the_way_back_is_clean_until_the_first_release_of_which_it_is_not_known():
    state = state_of(f"{DEPLOYED} {DEPLOYED}", ("v2", (EXPAND,)), ("v3", None), environments=THREE)
    second = moved_forward(state, "blue").releases[1]
    made = line(report_of(state, source="cyan"), "point-of-no-return")
    assert (made.verdict, made.text.startswith(f"clean until {clock(second.began)}; whether")) == (UNKNOWN, True)


def test_a_schema_change_that_nobody_has_judged_keeps_the_way_back_from_being_called_clean():
    made = report_of(state_of(DEPLOYED, ("v2", (replace(EXPAND, backward_compatible=Compatible.UNKNOWN),))))
    assert line(made, "point-of-no-return").verdict is UNKNOWN


def test_the_first_real_request_is_a_time_stamp_of_the_write_that_let_it_through():
    state = state_of(DEPLOYED, ("v2", ()))
    intents = [one for one in stories.records_of(DEPLOYED, ("v2", ())) if getattr(one.event, "split", None)]
    first = min(one.at for one in intents)
    assert the_switch(state).exposed_at == first
    assert f"{first:%H:%M:%S}" in line(report_of(state), "live").text


def test_requests_are_counted_where_every_balancer_tells_and_unknown_otherwise():
    state = state_of(DEPLOYED, ("v2", ()))
    assert "green has served 7 requests" in line(report_of(state), "requests").text
    for clients in (Clients(sticky=False), Clients(sticky=False, requests={"blue": 7})):
        points = {"lb": facts().points["lb"], "other": PointFacts(stories.targets(blue=2, green=2), clients=clients)}
        assert line(report_of(state, points=points), "requests").verdict is UNKNOWN
    most = {"lb": PointFacts(clients=Clients(requests_most={"green": 9, "blue": 70}))}
    made = line(report_of(state, points=most), "requests")
    assert (made.verdict, made.text.split(":")[0]) == (UNKNOWN, "green has served 9 requests since, at most")


def test_the_advice_is_the_way_forward_where_schema_contract_or_security_moved_or_it_was_live_for_long():
    assert report_of(state_of(DEPLOYED, ("v2", ()))).advice == ""
    assert "schema or data has moved (schema:more)" in report_of(state_of(DEPLOYED, ("v2", (EXPAND,)))).advice
    assert "a contract with others has changed (api:pay)" in report_of(state_of(DEPLOYED, ("v2", (UNSURE,)))).advice
    assert "a security fix would be undone (security:tls)" in report_of(state_of(DEPLOYED, ("v2", (FIX,)))).advice
    assert "in use for 27.8 h" in report_of(state_of(DEPLOYED, ("v2", ())), seconds=100_000).advice


# --- what is not in the journal ---


def test_fewer_healthy_targets_than_the_live_side_has_is_unsafe_with_numbers():
    state = state_of(DEPLOYED, ("v2", ()))
    made = line(report_of(state, points={"lb": PointFacts(stories.targets(blue=1, green=3))}), "capacity:lb")
    assert made.verdict is UNSAFE
    assert "1 of 1 targets of blue are healthy; green has 100% of the traffic on 3 healthy targets" in made.text
    assert "9 requests in flight" in made.text
    none = line(report_of(state, points={"lb": PointFacts(stories.targets(green=0))}), "capacity:lb")
    assert none.verdict is UNSAFE


def test_what_nobody_has_looked_at_yet_is_unknown_and_what_was_found_bad_is_unsafe():
    state, bad = state_of(DEPLOYED, ("v2", ())), Finding("the balancers", ok=False, summary="not proven yet")
    for looked, verdict in ((False, UNKNOWN), (True, UNSAFE)):
        readiness = Readiness("blue", (Proof(bad, at(1000), looked=looked),))
        assert line(report_of(state, readiness=readiness), "ready:the balancers").verdict is verdict
        assert not readiness.ready(at(1000))


def test_sticky_clients_are_told_with_the_time_at_which_the_last_of_them_may_move():
    state = state_of(DEPLOYED, ("v2", ()))
    points = {"lb": replace(facts().points["lb"], clients=Clients(sticky=True, sticky_seconds=1800))}
    made = line(report_of(state, points=points), "sticky:lb")
    assert made.verdict is UNKNOWN
    assert f"until {at(2800):%Y-%m-%d %H:%M:%S} UTC at the latest" in made.text


def test_a_configuration_that_changed_is_told_by_its_keys_and_its_references():
    then = '{"service": "web", "gates": ["${env:OLD}"]}'
    records = stories.records_of(f"{DEPLOYED} {DEPLOYED}", ("v2", ()), ("v3", ()), environments=THREE)
    state = stories.retold(records, config=then)
    same = report(state, facts("green", "cyan", config=then), at(1000))
    assert line(same, "config").verdict is SAFE
    assert line(same, "credentials").verdict is UNKNOWN, "the secret itself may be another one"
    now = facts("green", "cyan", config='{"service": "web", "gates": ["${env:NEW}"], "depends_on": []}')
    other = report(state, now, at(1000))
    assert "gates changed" in line(other, "config").text
    assert line(other, "credentials").text.endswith("${env:NEW} and ${env:OLD}")


def test_a_service_that_this_one_depends_on_is_told_when_it_moved_since():
    state, other = state_of(DEPLOYED, ("v2", ())), state_of(AT_FIVE, ("v7", None))
    moved = line(report_of(state, depends_on={"pay": other}), "depends-on:pay")
    assert (moved.verdict, "deployment of v7" in moved.text) == (UNKNOWN, True)
    before = replace(other, switch=replace(the_switch(other), changed_at=at(-100)))
    assert line(report_of(state, depends_on={"pay": before}), "depends-on:pay").verdict is SAFE
    assert line(report_of(state, depends_on={"pay": None}), "depends-on:pay").verdict is UNKNOWN


def test_what_nobody_has_configured_is_a_line_too_and_not_known():
    made = report_of(state_of(DEPLOYED, ("v2", ())))
    for id_ in ("flags", "depends-on", "credentials"):
        assert line(made, id_).verdict is UNKNOWN


def test_flags_that_changed_are_told():
    state = state_of(DEPLOYED, ("v2", ()))
    assert line(report_of(state, flags_configured=True), "flags").verdict is UNKNOWN
    assert line(report_of(state, flags_configured=True, flags=()), "flags").verdict is SAFE
    moved = report_of(state, flags_configured=True, flags=(FlagMoved("receipt", "off", "on"),))
    assert line(moved, "flag-moved:receipt").verdict is UNKNOWN


def test_proofs_are_told_with_their_ages_and_a_stale_one_is_unknown():
    state = state_of(DEPLOYED, ("v2", ()))
    proofs = (
        Proof(Finding("smoke", True, "passed"), at(990)),
        Proof(Finding("rights", True, "may write"), at(100)),
        Proof(Finding("targets", False, "none is healthy"), at(990)),
    )
    made = report_of(state, readiness=Readiness("blue", proofs))
    verdicts = [line(made, f"ready:{name}").verdict for name in ("smoke", "rights", "targets")]
    assert verdicts == [SAFE, UNKNOWN, UNSAFE]
    assert "(10 s ago)" in line(made, "ready:smoke").text
    nobody = Proof(Finding("rights", True, "not proven", detail={UNPROVEN: "yes"}), at(990))
    made = report_of(state, readiness=Readiness("blue", (nobody,)))
    assert line(made, "ready:rights").verdict is UNKNOWN, "what nobody could ask is not safe, though it is fresh"
    assert line(report_of(state, readiness=Readiness("green", proofs)), "ready").verdict is UNKNOWN


def test_the_last_failback_is_the_last_drill():
    state = state_of(f"{BACK_FROM_FIVE} {AT_FIVE}", ("v2", ()), ("v3", ()))
    made = line(report_of(state), "drill")
    assert (made.verdict, "(uid:1000(ann))" in made.text) == (SAFE, True)
    assert line(report_of(state, seconds=100 * 86400), "drill").verdict is UNKNOWN
    assert line(report_of(state_of(AT_FIVE, ("v2", ()))), "drill").verdict is UNKNOWN


def test_a_failback_is_judged_by_the_state_that_its_plan_was_made_from():
    state = state_of(AT_FIVE, ("v2", ()))
    asked = failback("s9")
    assert ad.admit(replace(asked, expects=("blue", "s1")), state, at(1000))
    for moved in (("blue", ""), ("green", "s1"), ("blue", "s0")):
        with pytest.raises(StateMoved):
            ad.admit(replace(asked, expects=moved), state, at(1000))


# --- the law ---

MANIFESTS = st.one_of(
    st.none(),
    st.lists(
        st.builds(
            Change,
            st.sampled_from(ChangeKind),
            st.sampled_from(["a", "b"]),
            st.just("s"),
            st.sampled_from(Compatible),
            st.one_of(st.none(), st.sampled_from(Direction)),
        ),
        max_size=4,
    ).map(tuple),
)
CLIENTS = st.builds(
    Clients,
    st.one_of(st.none(), st.booleans()),
    st.one_of(st.none(), st.just(60.0)),
    st.one_of(st.none(), st.just({"green": 3}), st.just({})),
)
POINTS = st.builds(PointFacts, st.one_of(st.none(), st.just(stories.targets(blue=2, green=2))), st.just(""), CLIENTS)


@given(
    script=st.sampled_from([AT_FIVE, DEPLOYED, f"{SHIFTING} set:50 failback halted", f"{DEPLOYED} {BACK} {AT_FIVE}"]),
    manifests=st.lists(MANIFESTS, min_size=2, max_size=2),
    points=st.dictionaries(st.sampled_from(["lb", "other"]), POINTS),
    depends_on=st.sampled_from([{}, {"pay": None}]),
    flags=st.one_of(st.none(), st.just(())),
    readiness=st.sampled_from([None, Readiness("blue"), Readiness("blue", (Proof(Finding("x", True, ""), at(0)),))]),
    config=st.sampled_from(["", "{}", '{"service": "web"}', '{"a": "${env:X}"}']),
)
def test_an_unknown_fact_never_gives_a_safe_verdict(
    script, manifests, points, depends_on, flags, readiness, config
) -> None:
    state = state_of(script, ("v2", manifests[0]), ("v3", manifests[1]))
    known = facts(
        points=points, depends_on=depends_on, flags=flags, flags_configured=True, readiness=readiness, config=config
    )
    made = report(state, known, at(1000))
    safe = {one.id for one in made.lines if one.verdict is SAFE}
    moved = moved_forward(state, "blue")
    told = moved.whole and all(one.manifest.is_whole for one in moved.releases)
    if not told:
        assert not safe & {"point-of-no-return", "live", "requests"}
    for release in moved.releases:
        assert release.manifest.given or f"manifest:{release.version}" not in safe
        for change in release.manifest.changes:
            if change.backward_compatible is not Compatible.YES or change.phase is Direction.CONTRACT:
                assert change.name not in safe or any(
                    one.name == change.name and one is not change for one in release.manifest.changes
                )
    for name in ("lb", "other"):
        point = points.get(name, PointFacts())
        assert point.targets is not None or f"capacity:{name}" not in safe
        assert point.clients.sticky is False or f"sticky:{name}" not in safe
        assert point.clients.requests is not None or name not in points or "requests" not in safe
    assert points or "requests" not in safe
    assert not (depends_on and "depends-on:pay" in safe)
    assert flags is not None or "flags" not in safe
    assert not any(id_.startswith("ready") for id_ in safe)
    assert "credentials" not in safe
    assert {one.verdict for one in made.lines} <= set(Verdict)
    assert len({one.id for one in made.lines}) == len(made.lines), "what is acknowledged by id has an id of its own"


def test_every_line_of_what_is_not_known_at_all_is_unknown_or_unsafe():
    nothing = replace(facts(), points={}, config="", flags_configured=True)
    made = report(state_of(DEPLOYED, ("v2", None)), nothing, at(1000))
    assert [one for one in made.lines if one.verdict is SAFE] == []


def test_clients_that_stay_nobody_knows_how_long_are_told_with_the_reason():
    points = {"lb": replace(facts().points["lb"], clients=Clients(sticky=True, why="the cookie is the application's"))}
    made = line(report_of(state_of(DEPLOYED, ("v2", ())), points=points), "sticky:lb")
    assert made.verdict is UNKNOWN
    assert made.text.endswith("nobody knows for how long: the cookie is the application's")


def test_of_a_busy_service_whose_record_does_not_go_back_so_far_nothing_is_said_to_be_safe():
    state, other = state_of(DEPLOYED, ("v2", ())), state_of(AT_FIVE, ("v7", None))
    later = replace(the_switch(other), started_at=at(5000), changed_at=at(5000))
    busy = replace(other, past=(later,) * PAST_MAX, switch=None)
    made = line(report_of(state, depends_on={"pay": busy}), "depends-on:pay")
    assert (made.verdict, made.text) == (UNKNOWN, "pay: what was deployed of it since is not on record")


@pytest.mark.parametrize("now", ["no JSON", "[]"])
def test_a_configuration_that_cannot_be_compared_has_changed(now: str):
    records = stories.records_of(f"{DEPLOYED} {DEPLOYED}", ("v2", ()), ("v3", ()), environments=THREE)
    state = stories.retold(records, config='{"service": "web"}')
    made = line(report(state, facts("green", "cyan", config=now), at(1000)), "config")
    assert made.verdict is UNKNOWN
    assert "something changed" in made.text


def test_an_entry_of_a_manifest_whose_words_are_no_words_is_not_understood():
    entry = {"kind": "api", "id": "pay", "summary": 7}
    assert on_record(json.dumps([entry])).unread == 1
    assert on_record(json.dumps([{**entry, "summary": "pay moved"}])).unread == 0
