"""Dates in English words: what is one, what is none, and what holds for any text."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mainstem.tasks.when import find, without, words

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 24, 10, tzinfo=BERLIN)
"""A Tuesday."""


def due(text: str, now: datetime = NOW, zone: ZoneInfo = BERLIN) -> str | None:
    """When it is due, as YYYY-MM-DD or with HH:MM; None without a date."""
    found = find(text, now=now, zone=zone)
    if found is None or found.due is None:
        return None
    return f"{found.due:%Y-%m-%d}" if found.all_day else f"{found.due:%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("text", "expected", "title"),
    [
        ("call mom tomorrow at 5pm", "2026-11-25 17:00", "call mom"),
        ("call mom at 5pm tomorrow", "2026-11-25 17:00", "call mom"),
        ("Tomorrow at 17:00, call mom", "2026-11-25 17:00", "call mom"),
        ("call mom tmrw 5 p.m.", "2026-11-25 17:00", "call mom"),
        ("buy milk today", "2026-11-24", "buy milk"),
        ("buy milk tonight", "2026-11-24 20:00", "buy milk"),
        ("film tonight at 8", "2026-11-24 20:00", "film"),
        ("dentist tomorrow morning", "2026-11-25 09:00", "dentist"),
        ("dentist tomorrow morning at 8", "2026-11-25 08:00", "dentist"),
        ("dinner tomorrow evening at 7", "2026-11-25 19:00", "dinner"),
        ("tea this afternoon", "2026-11-24 15:00", "tea"),
        ("pay the day after tomorrow", "2026-11-26", "pay"),
        ("pay bills by friday", "2026-11-27", "pay bills"),
        ("pay bills due Friday.", "2026-11-27", "pay bills."),
        ("report (due friday)", "2026-11-27", "report"),
        ("Due: friday", "2026-11-27", ""),
        ("pay bills next friday", "2026-12-04", "pay bills"),
        ("pay bills this friday", "2026-11-27", "pay bills"),
        ("pay bills on tuesday", "2026-12-01", "pay bills"),
        ("pay bills this tuesday", "2026-11-24", "pay bills"),
        ("call ana on sat", "2026-11-28", "call ana"),
        ("on friday call mom", "2026-11-27", "call mom"),
        ("call mom friday about the car", "2026-11-27", "call mom about the car"),
        ("call mom friday noon", "2026-11-27 12:00", "call mom"),
        ("plan next week", "2026-11-30", "plan"),
        ("plan next month", "2026-12-01", "plan"),
        ("clean this weekend", "2026-11-28", "clean"),
        ("close the books by end of month", "2026-11-30", "close the books"),
        ("close the books at the end of the year", "2026-12-31", "close the books"),
        ("send it by eod", "2026-11-24", "send it"),
        ("hand in by the end of the week", "2026-11-27", "hand in"),
        ("ship in 3 days", "2026-11-27", "ship"),
        ("ship in three days at 9am", "2026-11-27 09:00", "ship"),
        ("ship in a couple of weeks", "2026-12-08", "ship"),
        ("ship 2 weeks from now", "2026-12-08", "ship"),
        ("ship a week from friday", "2026-12-04", "ship"),
        ("check in 2 hours", "2026-11-24 12:00", "check"),
        ("check in half an hour", "2026-11-24 10:30", "check"),
        ("check in 45min", "2026-11-24 10:45", "check"),
        ("call at 5pm", "2026-11-24 17:00", "call"),
        ("call at 9am", "2026-11-25 09:00", "call"),
        ("call at 9", "2026-11-24 21:00", "call"),
        ("call at 5", "2026-11-24 17:00", "call"),
        ("call at 9 in the morning", "2026-11-25 09:00", "call"),
        ("walk at half past 5", "2026-11-24 17:30", "walk"),
        ("walk at quarter to 6", "2026-11-24 17:45", "walk"),
        ("lunch at noon", "2026-11-24 12:00", "lunch"),
        ("taxi at midnight", "2026-11-24 23:59", "taxi"),
        ("party on june 1", "2027-06-01", "party"),
        ("party on the 1st of June at 6 pm", "2027-06-01 18:00", "party"),
        ("party Friday, June 4 at 17:00", "2027-06-04 17:00", "party"),
        ("party december 24", "2026-12-24", "party"),
        ("party on nov 24", "2026-11-24", "party"),
        ("call on may 5", "2027-05-05", "call"),
        ("leap on feb 29", "2028-02-29", "leap"),
        ("gifts by 2026-12-20", "2026-12-20", "gifts"),
        ("gifts 24.12.2026", "2026-12-24", "gifts"),
        ("gifts by 12/24", "2026-12-24", "gifts"),
        ("gifts 24/12/2026", "2026-12-24", "gifts"),
        ("pay rent on the 14th", "2026-12-14", "pay rent"),
        ("pay rent on the 31st", "2026-12-31", "pay rent"),
        ("pay rent the 3rd of next month", "2026-12-03", "pay rent"),
        ("finish the plan in june", "2027-06-01", "finish the plan"),
        ("remind me tomorrow to buy tickets for friday", "2026-11-25", "remind me to buy tickets for friday"),
        ("move the monday meeting by friday", "2026-11-27", "move the monday meeting"),
        ("meet at 2026-12-02T10:00", "2026-12-02 10:00", "meet"),
        ("meet 2026-12-02T10:00:00Z", "2026-12-02 11:00", "meet"),
        ("check in an hour and a half", "2026-11-24 11:30", "check"),
        ("pay on the first", "2026-12-01", "pay"),
        ("clean over the weekend", "2026-11-28", "clean"),
        ("plan early next week", "2026-11-30", "plan"),
        ("finish this month", "2026-11-30", "finish"),
        ("call wed 5pm", "2026-11-25 17:00", "call"),
        ("tickets 21:30", "2026-11-24 21:30", "tickets"),
        ("TODAY!", "2026-11-24", ""),
        ("file taxes 2025-04-15", "2025-04-15", "file taxes"),
        ("log hours yesterday", "2026-11-23", "log hours"),
    ],
)
def test_dates(text: str, expected: str, title: str) -> None:
    found = find(text, now=NOW, zone=BERLIN)
    assert found
    assert (due(text), without(text, found)) == (expected, title)


@pytest.mark.parametrize(
    "text",
    [
        "ask whether we may go",
        "get some sun",
        "wed the two lists",
        "march against it",
        "the second one",
        "wait a second",
        "first things first",
        "upgrade to v2.5.1",
        "upgrade to 3.11",
        "hire 24/7 support",
        "The 9/11 Report",
        "pay $5",
        "pay 5.50 to Ana",
        "1 on 1 with Bo",
        "call 555-1234",
        "call +49 30 901820",
        "call 0170-1234567",
        "renewed",
        "github",
        "monitor",
        "saturn",
        "13th floor - remark",
        "Sat Nav",
        "book sat nav update",
        "meet at 10 Downing Street",
        "look at 5 offers",
        "look at 5",
        "raise the price by 5",
        "buy 2 weeks of food",
        "look at monday.com",
        "answer friday's mail",
        "Black Friday offers",
        "write the monday report",
        "write the weekly report",
        "mail mon@example.com",
        "#monday",
        "@sun",
        "read chapter 12:5",
        "make 50/50",
        "read 1984",
        "buy 3 bags",
        "in a nutshell",
        "what now",
        "every customer",
        "call every 10th customer",
        '"call mom tomorrow"',
        "'pay bills by friday'",
        "\u201ccall mom tomorrow\u201d",
        "read 'The Sunday Times'",
        "june 31",
        "ratio 16:09",
        "install version 1.2.2026 now",
        "open monday to friday",
        "saturday or sunday",
        "between 3 and 4 pm",
        "at 25:00",
        "at 13pm",
        "jan van eyck",
        "Sunday Times subscription",
        "on 5th avenue",
        "for 5 minutes",
        "2026-13-45",
        "in 99999 years",
        "in 9999 years",
        "",
        "   ",
    ],
)
def test_no_dates(text: str) -> None:
    assert find(text, now=NOW, zone=BERLIN) is None


@pytest.mark.parametrize(
    ("text", "rule", "first"),
    [
        ("standup every monday at 9", "FREQ=WEEKLY;BYDAY=MO", "2026-11-30 09:00"),
        ("at 9 every monday standup", "FREQ=WEEKLY;BYDAY=MO", "2026-11-30 09:00"),
        ("every monday at 9 standup", "FREQ=WEEKLY;BYDAY=MO", "2026-11-30 09:00"),
        ("every Mon, Wed and Fri run", "FREQ=WEEKLY;BYDAY=MO,WE,FR", "2026-11-25"),
        ("run mondays and thursdays at 6pm", "FREQ=WEEKLY;BYDAY=MO,TH", "2026-11-26 18:00"),
        ("water plants every 2 weeks", "FREQ=WEEKLY;INTERVAL=2", "2026-11-24"),
        ("pay every 2 weeks on friday", "FREQ=WEEKLY;INTERVAL=2;BYDAY=FR", "2026-11-27"),
        ("bins every other tuesday", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU", "2026-11-24"),
        ("report every last friday", "FREQ=MONTHLY;BYDAY=-1FR", "2026-11-27"),
        ("report every first monday of the month", "FREQ=MONTHLY;BYDAY=1MO", "2026-12-07"),
        ("close every last day of the month", "FREQ=MONTHLY;BYMONTHDAY=-1", "2026-11-30"),
        ("rent every 1st", "FREQ=MONTHLY;BYMONTHDAY=1", "2026-12-01"),
        ("rent every 1st and 15th", "FREQ=MONTHLY;BYMONTHDAY=1,15", "2026-12-01"),
        ("rent every first of the month", "FREQ=MONTHLY;BYMONTHDAY=1", "2026-12-01"),
        ("rent monthly on the 3rd", "FREQ=MONTHLY;BYMONTHDAY=3", "2026-12-03"),
        ("renew every june 1", "FREQ=YEARLY;BYMONTH=6;BYMONTHDAY=1", "2027-06-01"),
        ("gym on weekdays at 7", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "2026-11-25 07:00"),
        ("gym weekdays", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "2026-11-24"),
        ("gym every weekend", "FREQ=WEEKLY;BYDAY=SA,SU", "2026-11-28"),
        ("pills every day at 8pm 3 times", "FREQ=DAILY;COUNT=3", "2026-11-24 20:00"),
        ("pills every morning", "FREQ=DAILY", "2026-11-25 09:00"),
        ("pills daily until june 1", "FREQ=DAILY;UNTIL=20270601T215959Z", "2026-11-24"),
        ("course every tuesday for 3 weeks", "FREQ=WEEKLY;BYDAY=TU;UNTIL=20261214T225959Z", "2026-11-24"),
        ("review every quarter", "FREQ=MONTHLY;INTERVAL=3", "2026-11-24"),
        ("drink every 2 hours", "FREQ=HOURLY;INTERVAL=2", "2026-11-24 12:00"),
        ("stand every other friday at 17:00 starting next week", "FREQ=WEEKLY;INTERVAL=2;BYDAY=FR", "2026-12-04 17:00"),
        ("never again every day until 2020-01-01", "FREQ=DAILY;UNTIL=20200101T225959Z", None),
    ],
)
def test_repetitions(text: str, rule: str, first: str | None) -> None:
    found = find(text, now=NOW, zone=BERLIN)
    assert found
    assert (found.recurrence, due(text)) == (rule, first)


def test_what_reads_dates_is_loaded_by_the_first_date_alone() -> None:
    program = "import sys; from mainstem.tasks import when; print('dateparser' in sys.modules); when.load(); print('dateparser' in sys.modules)"
    assert subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split() == ["False", "True"]


def test_of_several_phrases_the_strongest_counts_and_then_the_last() -> None:
    assert due("slides from monday for the talk by friday and again on sunday") == "2026-11-27"
    assert due("after monday, on thursday") == "2026-11-26"


def test_what_is_left_of_today() -> None:
    late = datetime(2026, 11, 24, 21, 30, tzinfo=BERLIN)
    assert due("film tonight", late) == "2026-11-24"
    assert due("film at 9am", late) == "2026-11-25 09:00"
    assert due("film today at 9am", late) == "2026-11-24 09:00"  # said outright
    assert due("film nov 24 at 9am", late) == "2027-11-24 09:00"


def test_clocks_that_jump() -> None:
    before = datetime(2027, 3, 27, 12, tzinfo=BERLIN)
    assert due("call tomorrow at 02:30", before) == "2027-03-28 03:30"
    assert due("call in 24 hours", before) == "2027-03-28 13:00"
    assert due("call in 1 day at 12:00", before) == "2027-03-28 12:00"
    autumn = datetime(2026, 10, 24, 12, tzinfo=BERLIN)
    found = find("call tomorrow at 02:30", now=autumn, zone=BERLIN)
    assert found
    assert found.due
    assert found.due.utcoffset() == timedelta(hours=2)


def test_the_zone_decides_what_today_is() -> None:
    now = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
    assert due("call today", now, ZoneInfo("Asia/Tokyo")) == "2026-11-25"
    assert due("call today", now, ZoneInfo("America/New_York")) == "2026-11-24"


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (0, "today at 17:00"),
        (1, "tomorrow at 17:00"),
        (-1, "yesterday at 17:00"),
        (3, "on Friday at 17:00"),
        (7, "on 1 December at 17:00"),
        (60, "on 23 January 2027 at 17:00"),
    ],
)
def test_words(days: int, expected: str) -> None:
    at = NOW.replace(hour=17) + timedelta(days=days)
    assert words(at, now=NOW, zone=BERLIN) == expected
    assert words(at, now=NOW, zone=BERLIN, all_day=True) == expected.removesuffix(" at 17:00")


PIECES = st.sampled_from(
    "by on at due every the next this in 3 5 2 weeks days day friday monday mon sat june may 1st 14th 31 24/7 5pm 9 17:00 noon tonight tomorrow end "
    "of month until for times other last weekdays daily starting from a week hours buy milk call . , : ( ) \" ' 2027-06-01 yesterday half past".split()
)
ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia", "America/Sao_Paulo", "Australia/Lord_Howe"]
).map(ZoneInfo)
NOWS = st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))
SAID = ("yesterday", "today", "tonight", "this", "end of", "2027")


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=9).map(" ".join) | st.text(max_size=60), NOWS, ZONES)
@example("on feb 29 at 9", datetime(2031, 3, 1, tzinfo=UTC), ZoneInfo("UTC"))
@example("\u0130 tomorrow", datetime(2031, 3, 1, tzinfo=UTC), ZoneInfo("UTC"))
def test_whatever_the_text(text: str, now: datetime, zone: ZoneInfo) -> None:
    found = find(text, now=now, zone=zone)
    assert found == find(text, now=now, zone=zone)
    if found is None:
        return
    assert 0 <= found.start < found.end <= len(text)
    assert text[found.start : found.end] == found.words
    assert found.due or found.recurrence
    assert len(without(text, found)) <= len(text)
    if found.due is None:
        return
    if found.recurrence:
        # another reader of RFC 5545 begins with the same day
        assert next(iter(rrulestr(found.recurrence, dtstart=found.due))) == found.due
    assert found.due.tzinfo is zone
    assert not found.due.microsecond
    if not any(word in found.words.lower() for word in SAID):
        assert found.due.astimezone(UTC) >= now.replace(microsecond=0)
    assert words(found.due, now=now, zone=zone, all_day=found.all_day)


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=4096))
def test_any_unicode(text: str) -> None:
    find(text, now=NOW, zone=BERLIN)
