"""What halts have taught: fingerprints, what helped, what is still open; over histories in words and at random."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from bluegreen.core import admit as ad
from bluegreen.core import admit_lessons, lessons
from bluegreen.core import events as ev
from bluegreen.core.notes.lessons import (
    ENFORCING,
    FINGERPRINTS_MAX,
    GUARD,
    OCCURRENCES_MAX,
    SHADOW_BAD,
    SHADOW_GOOD,
    GuardAdded,
    GuardEnforced,
    GuardRemoved,
    Lesson,
    LessonClosed,
    Lessons,
)
from bluegreen.core.phases import apply
from bluegreen.core.state import ServiceState
from bluegreen.errors import BadRequest, BlueGreenError, NotFound, Refused
from bluegreen.model import Cause, Finding
from tests.builders import (
    OPERATOR,
    SHIFTING,
    at,
    failback,
    finding,
    halted,
    intent,
    pinned,
    records_of,
    state_after,
    the_switch,
)
from tests.core.driver import Driver, Move, Setting, moves, settings

SMOKING = "requested preflight deployed healthy"
ON = " smoke set:50 watched:60 reached:0 set:500 watched:60 reached:1 set:1000 shifted watched:30 baked completed"


def part(state: ServiceState) -> Lessons:
    return state.notes.lessons


def only(state: ServiceState) -> Lesson:
    [lesson] = part(state).kinds.values()
    return lesson


def further(state: ServiceState, *events: ev.Event, by: str = OPERATOR, reason: str = "because") -> ServiceState:
    for one in records_of(state, events, f"s{state.version}", by, reason):
        state = apply(state, one)
    return state


# --- fingerprints ---


def test_a_halt_has_a_fingerprint_of_its_step_its_failed_checks_and_its_cause() -> None:
    lesson = only(state_after(f"{SMOKING} halted:orders"))
    assert lesson.fingerprint == "smoke/orders/check_failed"
    assert len(lesson.id) == 8
    assert part(state_after(f"{SHIFTING} stopped")).kinds.keys() == {"shift/operator"}


def test_all_failed_checks_are_in_it_in_an_order_of_its_own() -> None:
    state = state_after(SMOKING)
    for names in (["b", "a"], ["a", "b"]):
        found = [finding("good", ok=True), *(finding(name) for name in names)]
        after = further(state, halted(the_switch(state), Cause.CHECK_FAILED, *found), by="daemon")
        assert only(after).fingerprint == "smoke/a+b/check_failed"


def test_the_same_halt_in_the_other_environment_has_the_same_fingerprint() -> None:
    """What is configured keeps its name, though it be that of an environment."""

    def named(state: ServiceState, *checks: str) -> str:
        found = [finding(check, acceptable=False) for check in checks]
        return only(further(state, halted(the_switch(state), Cause.UNHEALTHY, *found), by="daemon")).fingerprint

    to_green = state_after(SMOKING)
    to_blue = state_after(f"{SMOKING}{ON} requested:99999 preflight deployed healthy")
    assert the_switch(to_green).candidate == "green"
    assert the_switch(to_blue).candidate == "blue"
    one = named(to_green, "lb: green healthy", "green-idle", "green-orders")
    two = named(to_blue, "lb: blue healthy", "blue-idle", "green-orders")
    assert one == two == "smoke/candidate-idle+green-orders+lb:candidate-healthy/unhealthy"


def test_how_a_deploy_command_ended_and_what_a_balancer_refused_with_are_classes_of_causes() -> None:
    state = state_after("requested preflight deploying")
    for error, name in (("exit_3", "deploy/deploy_failed/exit_3"), ("", "deploy/deploy_failed")):
        switch = the_switch(state)
        event = ev.Halted(switch.next_halt(), switch.phase, Cause.DEPLOY_FAILED, "no", error=error, closes_step=True)
        assert only(further(state, event, by="daemon")).fingerprint == name


def test_a_fingerprint_of_very_many_checks_stays_short_and_tells_them_apart() -> None:
    state = state_after(SMOKING)
    names = [f"check-{n:03}" for n in range(200)]
    seen = set()
    for failed in (names, names[:-1]):
        found = [finding(name) for name in failed]
        seen.add(only(further(state, halted(the_switch(state), Cause.CHECK_FAILED, *found))).fingerprint)
    assert len(seen) == 2
    assert all(len(name) < 250 for name in seen)


# --- what helped ---


@pytest.mark.parametrize(
    ("script", "answer", "helped", "end"),
    [
        (f"{SMOKING} halted", "", None, ""),
        (f"{SMOKING} halted resumed", "resume", None, ""),
        (f"{SMOKING} halted resumed smoke", "resume", True, ""),
        (f"{SMOKING} halted resumed{ON}", "resume", True, "completed"),
        (f"{SMOKING} halted accepted{ON}", "accept", True, "completed"),
        (f"{SMOKING} halted resumed halted:other", "resume", False, ""),
        (f"{SMOKING} halted resumed smoke halted:other", "resume", True, ""),
        (f"{SMOKING} halted resumed halted:other aborted", "resume", False, "aborted"),
        (f"{SMOKING} halted aborted", "abort", None, "aborted"),
        (f"{SMOKING} halted resumed aborted", "resume", False, "aborted"),
        (f"{SHIFTING} set:50 halted failback", "failback", None, ""),
        (f"{SHIFTING} set:50 halted failback proven set:1000 shifted baked completed", "failback", True, "completed"),
        (f"{SHIFTING} set:50 halted resumed smoke watched:60 reached:0", "resume", True, ""),
        (f"{SHIFTING} set:50 halted promoted smoke set:1000 reached:0", "promote", True, ""),
        (f"{SMOKING} halted requested preflight deployed healthy", "deploy", None, ""),
        (f"{SMOKING} halted requested preflight deployed healthy smoke", "deploy", True, ""),
        (f"{SMOKING} halted requested preflight deployed healthy{ON}", "deploy", True, "completed"),
        (f"{SMOKING} halted requested preflight halted:other aborted", "deploy", False, "aborted"),
    ],
)  # fmt: skip
def test_an_answer_helped_when_the_switch_went_on_past_the_place_of_the_halt(
    script: str, answer: str, helped: bool | None, end: str
) -> None:
    first = part(state_after(script)).kinds[f"{'shift' if 'set:50 halted' in script else 'smoke'}/errors/check_failed"]
    one = first.occurrences[0]
    assert (one.answer, one.helped, one.end) == (answer, helped, end)
    assert (one.answered_at is not None) == bool(answer)
    assert one.answered_by == (OPERATOR if answer else "")


def test_what_was_done_before_the_halt_was_ended_is_part_of_the_answer() -> None:
    state = state_after(f"{SHIFTING} set:50 drift:300 drifted ordered restoring restored resumed")
    assert part(state).kinds["shift/drift"].last.answer == "restore and resume"


def test_past_halts_are_told_in_one_line_with_what_helped_how_long_it_took_and_the_last_note() -> None:
    state = state_after(f"{SMOKING} halted resumed{ON}")
    state = further(state, *admit_lessons.resolve(state, only(state).fingerprint, "dependency", "the mock was down"))
    state = further(state, *ad.admit(ad.Deploy(switch="s90", version="3", pinned=pinned()), state, at(9e6)))
    for script in ([ev.StepStarted("preflight"), ev.PreflightPassed()], [ev.StepStarted("deploy"), ev.Deployed("done")],
                   [ev.StepStarted("wait_healthy"), ev.BecameHealthy("3 of 3")]):  # fmt: skip
        state = further(state, *script, by="daemon")
    state = further(state, halted(the_switch(state), Cause.CHECK_FAILED, finding("errors")), by="daemon")
    lesson = only(state)
    assert lesson.times == 2
    assert lessons.words(lesson, lesson.last.halt) == (
        "seen once before, last 2026-11-23; resume helped once after 1 s; "
        "last note: dependency, 'the mock was down' by ann"
    )
    assert lessons.words(lesson, lesson.occurrences[0].halt) == "not seen before"


def test_medians_are_of_the_answers_that_helped() -> None:
    state = state_after(f"{SMOKING} halted resumed halted resumed halted resumed smoke")
    [tally] = lessons.tallies(only(state).occurrences)
    assert (tally.answer, tally.times, tally.helped, tally.failed) == ("resume", 3, 1, 2)
    assert tally.answered_after == 1.0
    assert "resume helped once after 1 s and did not help twice" in lessons.words(only(state))


# --- causes ---


def test_halts_that_have_ended_and_whose_cause_nobody_said_are_listed_until_somebody_does() -> None:
    state = state_after(f"{SMOKING} halted resumed halted resumed halted")
    ended = [one.halt for _, one in lessons.without_cause(part(state))]
    assert ended == ["s1-h2", "s1-h1"], "the third still waits for its answer"
    state = further(state, *admit_lessons.resolve(state, "s1-h2", "capacity", "too few"))
    assert [one.halt for _, one in lessons.without_cause(part(state))] == ["s1-h1"]
    assert only(state).occurrences[1].noted_by == OPERATOR
    state = further(state, *admit_lessons.resolve(state, only(state).id, "capacity", "too few"))
    assert lessons.without_cause(part(state)) == []


def test_a_cause_may_come_with_the_answer_and_goes_on_record_with_it() -> None:
    state = state_after(f"{SMOKING} halted")
    events = ad.admit(ad.Resume(cause="dependency", note="the mock"), state, at(0))
    assert [type(one).__name__ for one in events] == ["Resumed", "LessonResolved"]
    one = only(further(state, *events)).last
    assert (one.cause, one.note, one.answer) == ("dependency", "the mock", "resume")


@pytest.mark.parametrize(
    ("script", "request_", "error"),
    [
        (f"{SMOKING} halted", ad.Resume(cause="bad luck"), BadRequest),
        (f"{SMOKING} paused", ad.Resume(cause="human"), Refused),
        (f"{SMOKING} halted", ad.Pause(cause="human"), Refused),
    ],
)
def test_a_wrong_cause_is_refused_before_anything_is_done(script: str, request_: ad.AnyRequest, error: type) -> None:
    with pytest.raises(error):
        ad.admit(request_, state_after(script), at(0))


def test_a_cause_needs_a_class_and_a_note_and_something_to_belong_to() -> None:
    state = state_after(f"{SMOKING} halted")
    with pytest.raises(BadRequest, match="note"):
        admit_lessons.resolve(state, "s1-h1", "human", " ")
    with pytest.raises(BadRequest, match="cause"):
        admit_lessons.resolve(state, "s1-h1", "", "a note")
    with pytest.raises(NotFound, match="no lesson and no halt 's9-h9'"):
        admit_lessons.resolve(state, "s9-h9", "human", "a note")


def test_the_same_word_again_writes_nothing() -> None:
    state = state_after(f"{SMOKING} halted")
    state = further(state, *admit_lessons.resolve(state, "s1-h1", "human", "typo"))
    assert admit_lessons.resolve(state, "s1-h1", "human", "typo") == ()


# --- guards ---

CHECK = json.dumps({"name": "orders-dns", "tcp": "orders:80"})


def guarded(shadow: bool = True, lesson: str = "smoke/errors/check_failed") -> ServiceState:
    """One halt of the past, with a guard made of it, and no open switch."""
    state = further(state_after(f"{SMOKING} halted aborted"), GuardAdded("orders-dns", "tcp", CHECK, lesson))
    return state if shadow else further(state, GuardEnforced("orders-dns"))


def preflown(state: ServiceState, fared: str, ok: bool = True) -> ServiceState:
    """A deployment whose preflight had that to say of the guard."""
    request = ad.Deploy(switch=f"s{state.version}", version="3", pinned=pinned())
    state = further(state, *ad.admit(request, state, at(9e6)))
    found = Finding("orders-dns", ok, "it looked", detail={GUARD: fared}, acceptable=True)
    passed = ev.PreflightPassed((found,)) if ok else halted(the_switch(state), Cause.PREFLIGHT_FAILED, found)
    return further(state, ev.StepStarted("preflight"), passed, by="daemon")


def smoked(state: ServiceState) -> ServiceState:
    """And on to the same halt in smoke."""
    state = further(state, ev.StepStarted("deploy"), ev.Deployed("done"), ev.StepStarted("wait_healthy"),
                    ev.BecameHealthy("3 of 3"), by="daemon")  # fmt: skip
    return further(state, halted(the_switch(state), Cause.CHECK_FAILED, finding("errors")), by="daemon")


def test_a_guard_is_counted_by_the_preflights_that_it_looked_at() -> None:
    state = preflown(guarded(), SHADOW_GOOD)
    state = preflown(further(state, ev.Aborted()), SHADOW_BAD)
    guard = part(state).guards["orders-dns"]
    assert (guard.ran, guard.failed, guard.caught, guard.last) == (2, 1, 0, "it looked")
    state = preflown(further(state, ev.Aborted(), GuardEnforced("orders-dns")), ENFORCING, ok=False)
    guard = part(state).guards["orders-dns"]
    assert (guard.ran, guard.failed, guard.caught) == (3, 1, 1)


def test_a_guard_is_enforced_after_one_look_or_by_force_with_a_reason() -> None:
    state = guarded()
    with pytest.raises(Refused, match="has not looked at a preflight yet"):
        admit_lessons.enforce(state, "orders-dns", force=False, reason="")
    with pytest.raises(BadRequest, match="reason"):
        admit_lessons.enforce(state, "orders-dns", force=True, reason=" ")
    assert admit_lessons.enforce(state, "orders-dns", force=True, reason="sure") == (GuardEnforced("orders-dns"),)
    looked = preflown(state, SHADOW_GOOD)
    looked = further(looked, *admit_lessons.enforce(looked, "orders-dns", force=False, reason=""))
    assert not part(looked).guards["orders-dns"].shadow
    assert admit_lessons.enforce(looked, "orders-dns", force=False, reason="") == ()


@pytest.mark.parametrize(
    ("shadow", "fared", "told"),
    [
        (True, SHADOW_BAD, "guard orders-dns, in shadow, would have caught it"),
        (True, SHADOW_GOOD, "guard orders-dns, in shadow, would not have caught it"),
        (False, ENFORCING, "guard orders-dns did not catch it"),
    ],
)
def test_a_guarded_lesson_that_comes_again_says_so(shadow: bool, fared: str, told: str) -> None:
    state = smoked(preflown(guarded(shadow), fared))
    lesson = part(state).kinds["smoke/errors/check_failed"]
    assert lesson.last.despite == lessons.flag(part(state), lesson) == told
    assert lessons.state_of(part(state), lesson, ()) == lessons.GUARDED


def test_a_guard_that_was_made_after_the_preflight_is_not_blamed() -> None:
    state = state_after(f"{SMOKING} halted resumed")
    state = further(state, GuardAdded("orders-dns", "tcp", CHECK, "smoke/errors/check_failed"))
    state = further(state, halted(the_switch(state), Cause.CHECK_FAILED, finding("errors")), by="daemon")
    assert only(state).last.despite == ""


def test_a_lesson_closed_by_a_reason_that_comes_again_is_flagged_until_it_is_closed_again() -> None:
    state = state_after(f"{SMOKING} halted resumed")
    assert lessons.state_of(part(state), only(state), ()) == lessons.OPEN
    state = further(state, *admit_lessons.close(state, only(state).id, "", "a one-off", ()), reason="a one-off")
    assert lessons.state_of(part(state), only(state), ()) == lessons.CLOSED
    state = further(state, halted(the_switch(state), Cause.CHECK_FAILED, finding("errors")), by="daemon")
    assert lessons.flag(part(state), only(state)) == "it was closed on 2026-11-23: a one-off"
    state = further(state, LessonClosed(only(state).fingerprint), reason="known")
    assert lessons.flag(part(state), only(state)) == ""


def test_a_lesson_is_closed_by_a_guard_that_exists_and_open_again_without_it() -> None:
    state = further(state_after(f"{SMOKING} halted"), GuardAdded("dns", "tcp", CHECK))
    name = only(state).fingerprint
    with pytest.raises(NotFound, match="no guard 'nope'"):
        admit_lessons.close(state, name, "nope", "", ())
    with pytest.raises(BadRequest, match="by a reason for none"):
        admit_lessons.close(state, name, "", "", ())
    assert lessons.guards_of(part(further(state, LessonClosed(name, "of-file"))), only(state), ()) == ()
    closed = further(state, *admit_lessons.close(state, name, "dns", "", ()))
    assert lessons.state_of(part(closed), only(closed), ()) == lessons.GUARDED
    opened = further(closed, *admit_lessons.remove(closed, "dns", "of no use"))
    assert lessons.state_of(part(opened), only(opened), ()) == lessons.OPEN
    in_file = further(state, *admit_lessons.close(state, name, "of-file", "", ("of-file",)))
    assert lessons.state_of(part(in_file), only(in_file), ("of-file",)) == lessons.GUARDED
    assert lessons.state_of(part(in_file), only(in_file), ()) == lessons.OPEN, "the file has it no more"


def test_guards_have_names_of_their_own_and_an_end_to_their_number() -> None:
    state = guarded()
    for name, error in (("orders-dns", "already"), ("journal", "of the daemon's own"), ("blue-idle", "daemon's own")):
        with pytest.raises(Refused, match=error):
            admit_lessons.add_guard(state, name, "tcp", CHECK, "")
    with pytest.raises(NotFound):
        admit_lessons.add_guard(state, "x", "tcp", CHECK, "no/such/lesson")
    with pytest.raises(BadRequest, match="reason"):
        admit_lessons.remove(state, "orders-dns", "")
    for n in range(admit_lessons.GUARDS_MAX - 1):
        state = further(state, *admit_lessons.add_guard(state, f"g{n}", "tcp", CHECK, ""))
    with pytest.raises(Refused, match="guard export"):
        admit_lessons.add_guard(state, "one-more", "tcp", CHECK, "")
    assert "orders-dns" not in part(further(state, GuardRemoved("orders-dns"))).guards


def test_a_preflight_covers_what_an_enforcing_guard_that_passed_was_made_of() -> None:
    def covers(state: ServiceState, configured: Sequence[str], passed: Sequence[str]) -> str:
        found = lessons.coverage(lessons.covered(part(state), configured, passed))
        return found.summary if found else ""

    shadow, enforcing = guarded(), guarded(shadow=False)
    told = "covers 1 past halt: smoke/errors/check_failed (guard orders-dns)"
    assert covers(enforcing, (), ["orders-dns"]) == told
    assert covers(enforcing, (), []) == "", "it failed, or never looked"
    assert covers(shadow, (), ["orders-dns"]) == "", "one in shadow halts nothing"
    assert covers(shadow, ["orders-dns"], ["orders-dns"]) == told, "the file's guard of that name goes before it"


def test_what_comes_again_without_a_guard_stands_first() -> None:
    state = state_after(f"{SMOKING} halted:once resumed halted:twice resumed halted:twice resumed halted:thrice")
    names = [lesson.checks[0] for lesson in lessons.in_order(part(state), ())]
    assert names[0] == "twice"
    assert [one.checks[0] for one in lessons.recurring(part(state), ())] == ["twice"]
    state = further(state, GuardAdded("g", "tcp", CHECK, "smoke/twice/check_failed"))
    assert lessons.recurring(part(state), ()) == []


def test_what_a_preflight_caught_is_guarded_by_what_caught_it() -> None:
    state = preflown(guarded(shadow=False), ENFORCING, ok=False)
    caught = part(state).kinds["preflight/orders-dns/preflight_failed"]
    assert lessons.guards_of(part(state), caught, ()) == ("orders-dns",)


# --- bounds and laws ---


def test_an_answer_to_a_halt_whose_kind_is_no_longer_remembered_says_nothing_and_is_taken() -> None:
    state = state_after(f"{SMOKING} halted")
    known = replace(state.notes, lessons=replace(part(state), kinds={}))
    forgotten = replace(state, notes=known)
    resume = ad.Resume(halt=the_switch(state).halt.id, cause="dependency", note="it was down")  # type: ignore[union-attr]
    assert admit_lessons.told(resume, state) != ()
    assert admit_lessons.told(resume, forgotten) == ()
    assert [type(one) for one in ad.admit(resume, forgotten, at(99))] == [ev.Resumed]


def test_of_a_halt_that_came_often_only_the_count_may_be_left() -> None:
    state = state_after(f"{SMOKING} halted")
    lesson = replace(only(state), times=7)
    assert lessons.words(lesson, lesson.last.halt) == "seen 6 times before"


def test_a_cause_without_a_note_is_told_by_itself() -> None:
    state = state_after(f"{SMOKING} halted")
    lesson = only(state)
    told = replace(lesson.last, cause="check_itself", noted_by=OPERATOR)
    assert lessons.words(replace(lesson, times=2, occurrences=(told, replace(lesson.last, halt="h2"))), "h2").endswith(
        f"last note: check itself by {lessons.person(OPERATOR)}"
    )


def test_a_lesson_closed_by_a_guard_of_the_file_that_comes_again_names_the_guard() -> None:
    state = further(state_after(f"{SMOKING} halted resumed"), LessonClosed("smoke/orders/check_failed", "of-file"))
    known = only(state)
    state = further(further(state, LessonClosed(known.fingerprint, "of-file")),
                    halted(the_switch(state), Cause.CHECK_FAILED, finding(known.checks[0])), by="daemon")  # fmt: skip
    assert only(state).last.despite == "guard of-file did not catch it"


def test_a_guard_that_was_accepted_by_name_is_not_blamed_for_what_it_had_caught() -> None:
    closed = further(guarded(shadow=False), LessonClosed("smoke/errors/check_failed", "orders-dns"))
    state = preflown(closed, ENFORCING, ok=False)
    state = further(state, ev.CheckAccepted("orders-dns"), ev.Resumed())
    passed = Finding("orders-dns", ok=False, summary="it looked", detail={GUARD: ENFORCING}, acceptable=True)
    state = further(state, ev.StepStarted("preflight"), ev.PreflightPassed((passed,)), by="daemon")
    assert part(smoked(state)).kinds["smoke/errors/check_failed"].last.despite == (
        "guard orders-dns had caught it, and was accepted by name"
    )


def test_a_guard_that_was_taken_away_cannot_be_enforced() -> None:
    state = further(guarded(), GuardRemoved("orders-dns"))
    assert further(state, GuardEnforced("orders-dns")).notes.lessons == part(state)
    with pytest.raises(NotFound, match="no guard 'orders-dns'"):
        admit_lessons.enforce(state, "orders-dns", force=False, reason="")


def test_what_is_remembered_has_an_end_and_the_count_goes_on() -> None:
    state = state_after(SMOKING)
    for n in range(FINGERPRINTS_MAX + 5):
        state = further(state, halted(the_switch(state), Cause.CHECK_FAILED, finding(f"c{n}")), ev.Resumed())
    assert len(part(state).kinds) == FINGERPRINTS_MAX
    assert "smoke/c0/check_failed" not in part(state).kinds
    for _ in range(OCCURRENCES_MAX + 5):
        state = further(state, halted(the_switch(state), Cause.CHECK_FAILED, finding("same")), ev.Resumed())
    same = part(state).kinds["smoke/same/check_failed"]
    assert (same.times, len(same.occurrences)) == (OCCURRENCES_MAX + 5, OCCURRENCES_MAX)
    assert lessons.words(same, same.last.halt).startswith(f"seen {OCCURRENCES_MAX + 4} times before")


def test_a_lost_answer_of_the_balancer_is_followed_to_its_end() -> None:
    state = state_after(SHIFTING)
    state = further(state, intent(state, "lb", 50), ev.OutcomeLost("lb", "no answer"), by="daemon")
    state = further(state, halted(the_switch(state), Cause.OUTCOME_UNKNOWN, closes_step=False), by="daemon")
    state = further(state, *ad.admit(failback(), state, at(0)))
    assert only(state).last.answer == "failback"
    assert part(state).following == {only(state).fingerprint}


@given(settings, moves)
def test_over_any_history_every_halt_is_remembered_once_and_answered_as_it_was(
    setting: Setting, history: list[Move]
) -> None:
    driver = Driver(setting).run(history)
    remembered = [one for lesson in part(driver.state).kinds.values() for one in lesson.occurrences]
    halts = [record.event.halt for record in driver.records if isinstance(record.event, ev.Halted)]
    assert sum(lesson.times for lesson in part(driver.state).kinds.values()) == len(halts)
    assert {one.halt for one in remembered} == set(halts)
    switch = driver.state.open_switch
    for one in remembered:
        waits = switch is not None and switch.halt is not None and switch.id == one.switch
        assert (one.answered_at is None) <= waits, "what is not answered still waits"
        if one.ended_at is None and one.answered_at is not None:
            assert switch is not None
            assert switch.id == one.follows, "what is still followed has not ended"
    assert part(driver.state).following == {
        name for name, lesson in part(driver.state).kinds.items() if any(one.open for one in lesson.occurrences)
    }


@given(settings, moves)
def test_over_any_history_whatever_is_asked_about_lessons_is_told_and_never_breaks(
    setting: Setting, history: list[Move]
) -> None:
    state = Driver(setting).run(history).state
    for lesson in lessons.in_order(part(state), ()):
        for one in (None, *(each.halt for each in lesson.occurrences)):
            assert lessons.words(lesson, one)
        for name in (lesson.fingerprint, lesson.id, lesson.last.halt):
            events = admit_lessons.resolve(state, name, "unknown", "x")
            state = further(state, *events)
    assert lessons.without_cause(part(state)) == []


@given(some.lists(some.sampled_from(["a", "b", "c"]), min_size=1, max_size=3, unique=True), some.sampled_from(Cause))
def test_a_fingerprint_depends_on_step_checks_and_cause_alone(names: list[str], cause: Cause) -> None:
    state = state_after(SMOKING)
    found = [finding(name) for name in names]
    first = only(further(state, halted(the_switch(state), cause, *found)))
    state = further(state, ev.Paused())
    second = only(further(state, halted(the_switch(state), cause, *reversed(found)), by="daemon"))
    assert (first.fingerprint, first.id) == (second.fingerprint, second.id)


def test_every_error_of_these_verbs_is_one_that_people_can_read() -> None:
    with pytest.raises(BlueGreenError) as error:
        lessons.find(part(guarded()), "x")
    assert "smoke/errors/check_failed" in error.value.advice
