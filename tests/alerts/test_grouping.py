"""Groups: when people are told, and of what."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mainstem.alerts.grouping import Member, Plan, Reason, Timing, Told, plan

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TIMING = Timing(timedelta(seconds=30), timedelta(minutes=5), timedelta(hours=4))
NEW = Member(1, resolved=False, quiet=False)
FIRES = replace(NEW, told=Told.FIRING)
OVER = Member(2, resolved=True, quiet=False, told=Told.FIRING)


def planned(*members: Member, sent_at: datetime | None = NOW - timedelta(minutes=5)) -> Plan:
    found = plan(TIMING, NOW, sent_at, members, NOW)
    assert found is not None
    return found


def test_nothing_happens_before_a_group_is_due() -> None:
    assert plan(TIMING, NOW + timedelta(seconds=1), None, [NEW], NOW) is None


def test_what_is_new_is_told_with_all_that_fires() -> None:
    found = planned(NEW, replace(FIRES, alert_id=3), OVER)
    told = found.notification
    assert told is not None
    assert (told.reason, told.firing, told.resolved) == (Reason.NEW, (1, 3), (2,))
    assert found.due_at == NOW + TIMING.interval
    assert found.leaving == (2,)


def test_the_end_is_told_also_of_what_is_acknowledged_or_silenced() -> None:
    found = planned(replace(OVER, quiet=True))
    assert found.notification is not None
    assert (found.notification.reason, found.notification.resolved) == (Reason.RESOLVED, (2,))


def test_what_nobody_was_told_of_ends_in_silence() -> None:
    found = planned(replace(OVER, told=Told.NOTHING))
    assert (found.notification, found.leaving) == (None, (2,))


def test_the_end_is_told_once() -> None:
    assert planned(replace(OVER, told=Told.RESOLVED)).notification is None


def test_what_goes_on_is_repeated() -> None:
    assert planned(FIRES, sent_at=NOW - TIMING.repeat + timedelta(seconds=1)).notification is None
    found = planned(FIRES, sent_at=NOW - TIMING.repeat)
    assert found.notification is not None
    assert found.notification.reason is Reason.REPEAT


def test_an_acknowledged_alert_is_neither_new_nor_repeated() -> None:
    assert planned(replace(NEW, quiet=True)).notification is None
    assert planned(replace(FIRES, quiet=True), sent_at=NOW - timedelta(days=1)).notification is None


def test_what_was_silenced_is_told_when_the_silence_ends() -> None:
    assert planned(replace(NEW, quiet=True), sent_at=None).notification is None
    found = planned(NEW, sent_at=None)
    assert found.notification is not None
    assert found.notification.reason is Reason.NEW


members_ = st.lists(
    st.builds(Member, st.integers(1, 50), resolved=st.booleans(), quiet=st.booleans(), told=st.sampled_from(Told)),
    unique_by=lambda one: one.alert_id,
    max_size=8,
)


@given(members_, st.none() | st.integers(0, 100_000))
def test_told_is_what_there_is_to_tell(members: list[Member], sent_s: int | None) -> None:
    found = planned(*members, sent_at=None if sent_s is None else NOW - timedelta(seconds=sent_s))
    known = {one.alert_id: one for one in members}
    assert set(found.leaving) == {one.alert_id for one in members if one.resolved}
    if found.notification is None:
        assert not any(one.resolved and one.told is Told.FIRING for one in members)
        assert not any(not one.resolved and not one.quiet and one.told is Told.NOTHING for one in members)
        return
    assert found.notification.firing or found.notification.resolved
    assert all(not known[one].resolved and not known[one].quiet for one in found.notification.firing)
    assert all(known[one].resolved and known[one].told is Told.FIRING for one in found.notification.resolved)


@given(members_)
def test_what_was_told_is_not_told_again_at_once(members: list[Member]) -> None:
    first = planned(*members, sent_at=None)
    told = first.notification
    if told is None:
        return
    after = [
        replace(one, told=Told.FIRING) if one.alert_id in told.firing else one
        for one in members
        if one.alert_id not in first.leaving
    ]
    again = plan(TIMING, first.due_at, NOW, after, first.due_at)
    assert again is not None
    assert again.notification is None
