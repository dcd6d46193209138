"""A due date as people say it: `tomorrow at 17:00`, `on Friday`, `on 1 June 2027 at 09:00`. Pure."""

import calendar
from datetime import datetime
from zoneinfo import ZoneInfo


def words(due: datetime, *, now: datetime, zone: ZoneInfo, all_day: bool = False) -> str:
    """When `due` is, as seen from `now` in `zone`: the day by its nearest name, and the time unless it is a whole day."""
    here, today = due.astimezone(zone), now.astimezone(zone).date()
    away = (here.date() - today).days
    if away in {-1, 0, 1}:
        day = {-1: "yesterday", 0: "today", 1: "tomorrow"}[away]
    elif 1 < away < 7:
        day = f"on {calendar.day_name[here.weekday()]}"
    else:
        day = f"on {here.day} {calendar.month_name[here.month]}"
        if here.year != today.year:
            day += f" {here.year}"
    return day if all_day else f"{day} at {here:%H:%M}"
