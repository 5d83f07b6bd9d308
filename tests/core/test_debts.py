"""What a failback leaves wrong on purpose: when it begins, what it asks for, and what ends it."""

from __future__ import annotations

import pytest

from bluegreen.core import admit as ad
from bluegreen.core.codec import decode, encode
from bluegreen.core.manifest import Change, ChangeKind, Compatible
from bluegreen.core.notes import NoteEvent
from bluegreen.core.notes import debts as topic
from bluegreen.core.phases import apply
from bluegreen.core.state import ServiceState
from bluegreen.errors import BadRequest, Refused
from tests.builders import DEPLOYED, OPERATOR, at, deploy, record
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


def test_a_release_without_a_manifest_leaves_no_debt():
    assert ids(state_of(BACK_FROM_FIVE, ("v2", None))) == []


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
