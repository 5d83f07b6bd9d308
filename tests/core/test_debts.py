"""What a failback leaves wrong on purpose: when it begins, what it asks for, and what ends it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bluegreen.core import admit as ad
from bluegreen.core.codec import decode, encode
from bluegreen.core.manifest import Change, ChangeKind, Compatible
from bluegreen.core.notes import NoteEvent
from bluegreen.core.notes import debts as topic
from bluegreen.core.phases import apply
from bluegreen.core.state import ServiceState
from bluegreen.errors import BadRequest, Refused
from tests.builders import DEPLOYED, OPERATOR, WORDS, at, deploy, failback, record
from tests.builders import records_of as records_in
from tests.core.report_stories import (
    AT_FIVE,
    BACK,
    BACK_FROM_FIVE,
    CONTRACT,
    DATA,
    EXPAND,
    FIX,
    THREE,
    records_of,
    retold,
    state_of,
)


def told(state: ServiceState, *events: NoteEvent) -> ServiceState:
    for event in events:
        state = apply(state, record(event, switch=None, by=OPERATOR, reason="because"))
    return state


def ids(state: ServiceState) -> list[str]:
    return [debt.id for debt in state.notes.debts.open]


def test_a_failback_leaves_a_debt_for_everything_that_had_moved_forward():
    state = state_of(f"{DEPLOYED} {BACK}", ("v2", (CONTRACT, FIX, DATA)))
    assert ids(state) == ["schema:orders", "advisory:CVE-2026-1", "data:tax"]
    what = {debt.id: debt.what for debt in state.notes.debts.open}
    assert what["advisory:CVE-2026-1"] == "CVE-2026-1 (high) is open again on blue (closed by v2, tls is mended)"
    assert "to undo it: run untax.sql" in what["data:tax"]
    assert all(debt.owner is None and not debt.acknowledged_by for debt in state.notes.debts.open)


def test_a_failback_in_mid_shift_leaves_debts_too_and_one_that_is_not_done_yet_none():
    assert ids(state_of(f"{AT_FIVE} failback proven", ("v2", (FIX,)))) == []
    assert ids(state_of(BACK_FROM_FIVE, ("v2", (FIX,)))) == ["advisory:CVE-2026-1"]


def test_what_nobody_has_told_is_an_unknown_debt_and_holds_nothing_up():
    state = state_of(BACK_FROM_FIVE, ("v2", None))
    [debt] = state.notes.debts.open
    assert (debt.id, debt.topic, debt.unknown) == ("manifest:v2", "manifest", True)
    assert debt.what.startswith("nobody has said what v2 changed: look whether schema, data")
    assert ad.admit(deploy(), state, at(9999))
    owned = told(state, *topic.own(state, "manifest:v2", "ann"), *topic.acknowledge(state, None))
    assert (owned.notes.debts.open[0].owner, owned.notes.debts.unread()) == ("ann", ())
    assert ids(told(owned, *topic.pay(owned, "manifest:v2"))) == []


def test_a_manifest_that_says_that_nothing_but_code_changed_leaves_no_debt():
    assert ids(state_of(BACK_FROM_FIVE, ("v2", ()))) == []


def test_each_release_that_came_without_a_manifest_is_an_unknown_debt_beside_what_is_known():
    state = state_of(f"requested preflight deployed halted {BACK_FROM_FIVE}", ("v2", None), ("v3", (FIX,)))
    assert ids(state) == ["manifest:v2", "advisory:CVE-2026-1"]
    with pytest.raises(Refused, match="acknowledged: advisory:CVE-2026-1;"):
        ad.admit(deploy(), state, at(9999))


def test_a_manifest_of_which_not_all_is_understood_leaves_an_unknown_debt():
    records = records_of(BACK_FROM_FIVE)
    state = retold(records, version="v2", changes='[{"kind": "of the future", "id": "x", "summary": "y"}]')
    [debt] = state.notes.debts.open
    assert debt.what.startswith("nobody has said all of what v2 changed")


def test_where_it_is_not_on_record_what_was_brought_that_is_an_unknown_debt():
    state = replace(state_of(DEPLOYED, ("v2", (FIX,))), past=(), switch=None)
    for one in records_in(state, ad.admit(failback("s99"), state, at(9000)), "s99", OPERATOR, "odd"):
        state = apply(state, one)
    for word, share in (("proven", ""), ("set", "1000"), ("shifted", "")):
        for one in records_in(state, WORDS[word](state, share)):
            state = apply(state, one)
    assert [(debt.id, debt.unknown) for debt in state.notes.debts.open] == [("record", True)]


def test_an_unknown_debt_ends_when_the_release_that_was_left_is_live_again():
    assert ids(state_of(f"{BACK_FROM_FIVE} {DEPLOYED}", ("v2", None), ("v2", None))) == []


def test_what_is_owed_already_is_owed_once_keeps_its_owner_and_is_acknowledged_anew():
    first = state_of(BACK_FROM_FIVE, ("v2", (FIX,)))
    owned = told(first, *topic.own(first, "advisory:CVE-2026-1", "ann"), *topic.acknowledge(first, None))
    assert owned.notes.debts.unread() == ()
    later = records_of(f"{BACK_FROM_FIVE} {BACK_FROM_FIVE}", ("v2", (FIX,)), ("v3", (FIX, EXPAND)))[first.version :]
    for one in later:
        owned = apply(owned, one)
    assert ids(owned) == ["advisory:CVE-2026-1", "schema:more"]
    assert owned.notes.debts.open[0].owner == "ann"
    assert "closed by v3" in owned.notes.debts.open[0].what
    assert [debt.id for debt in owned.notes.debts.unread()] == ids(owned)


def test_the_next_deployment_is_refused_until_each_debt_was_acknowledged():
    state = state_of(BACK_FROM_FIVE, ("v2", (CONTRACT, FIX)))
    with pytest.raises(Refused, match=r"schema:orders, advisory:CVE-2026-1; .*bluegreen debts web --acknowledge"):
        ad.admit(deploy(), state, at(9999))
    one = told(state, *topic.acknowledge(state, ["schema:orders"]))
    with pytest.raises(Refused, match="acknowledged: advisory:CVE-2026-1"):
        ad.admit(deploy(), one, at(9999))
    all_read = told(one, *topic.acknowledge(one, None))
    assert ad.admit(deploy(), all_read, at(9999))
    assert {debt.acknowledged_by for debt in all_read.notes.debts.open} == {OPERATOR}
    assert topic.acknowledge(all_read, None) == ()


def test_a_debt_gets_an_owner_and_ends_when_a_person_says_that_it_is_paid():
    state = state_of(BACK_FROM_FIVE, ("v2", (CONTRACT, FIX)))
    owned = told(state, *topic.own(state, "advisory:CVE-2026-1", "security team"))
    assert [debt.owner for debt in owned.notes.debts.open] == [None, "security team"]
    assert ids(told(owned, *topic.pay(owned, "schema:orders"))) == ["advisory:CVE-2026-1"]
    for bad in (
        lambda: topic.pay(state, "x"),
        lambda: topic.own(state, "x", "y"),
        lambda: topic.acknowledge(state, ["x"]),
    ):
        with pytest.raises(BadRequest, match="no debt 'x'"):
            bad()


def test_debts_end_when_the_release_that_was_left_is_live_again_and_not_before():
    brought = (("v2", (FIX,)), ("v3", (CONTRACT,)))
    left = state_of(f"{DEPLOYED} {DEPLOYED} {BACK}", *brought, environments=THREE)
    assert (left.live, ids(left)) == ("green", ["schema:orders"])
    halfway = state_of(f"{DEPLOYED} {DEPLOYED} {BACK} {AT_FIVE}", *brought, ("v3", ()), environments=THREE)
    assert ids(halfway) == ["schema:orders"]
    again = state_of(f"{DEPLOYED} {DEPLOYED} {BACK} {DEPLOYED}", *brought, ("v3", ()), environments=THREE)
    assert ids(again) == []
    other = state_of(f"{DEPLOYED} {DEPLOYED} {BACK} {DEPLOYED}", *brought, ("v4", ()), environments=THREE)
    assert ids(other) == ["schema:orders"]


@pytest.mark.parametrize(
    "event", [topic.DebtsAcknowledged(("a", "b")), topic.DebtOwned("a", "ann"), topic.DebtPaid("a")]
)
def test_every_word_on_a_debt_goes_to_the_journal_and_back(event: NoteEvent):
    assert decode(*encode(event)) == event


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (ChangeKind.SECURITY, "a security fix is undone on blue"),
        (ChangeKind.FLAG, "a flag's feature is off on blue"),
        (ChangeKind.JOB, "a job has no release to it"),
        (ChangeKind.CONFIG, "configuration is ahead of blue"),
        (ChangeKind.API, "blue does not have it, and others may rely on it"),
        (ChangeKind.DEPENDENCY, "blue does not have it, and others may rely on it"),
    ],
)
def test_every_kind_of_change_leaves_a_debt_in_its_own_words(kind: ChangeKind, words: str):
    [debt] = state_of(f"{DEPLOYED} {BACK}", ("v2", (Change(kind, "x", "it moved", Compatible.NO),))).notes.debts.open
    assert (debt.id, debt.what) == (f"{kind}:x", f"{words} (v2, it moved)")
