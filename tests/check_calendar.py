#!/usr/bin/env python3
"""Compare the working calendar in crates/domain/data/calendar with an independent source.

The source is the PyPI package `chinesecalendar`, which keeps the State Council's notices on its own:

    python3 -m venv venv && venv/bin/pip install chinesecalendar && venv/bin/python tests/check_calendar.py

Every day of every year that both know is compared. Prints each difference and "N days compared"; exits 1 on any
difference or when the package knows a later year that we have no file for, 2 when there is nothing to compare.
"""

import csv
import datetime
import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "crates" / "domain" / "data" / "calendar"


def read_year(path):
    """{date: is it worked} for the exceptions of one file."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    days = {}
    for row in csv.DictReader(lines):
        date = datetime.date.fromisoformat(row["date"])
        if date in days or row["kind"] not in ("holiday", "work"):
            sys.exit(f"{path.name}: bad row {row}")
        days[date] = row["kind"] == "work"
    return days


def main():
    try:
        import chinese_calendar
        from chinese_calendar.constants import holidays
    except ImportError:
        print("chinesecalendar is not installed: pip install chinesecalendar", file=sys.stderr)
        return 2

    ours, exceptions = set(), {}
    for path in sorted(FOLDER.glob("*.csv")):
        ours.add(int(path.stem))
        exceptions.update(read_year(path))
    theirs = {date.year for date in holidays}

    compared = differences = 0
    for year in sorted(ours & theirs):
        date = datetime.date(year, 1, 1)
        while date.year == year:
            worked = exceptions.get(date, date.weekday() < 5)
            if worked != chinese_calendar.is_workday(date):
                differences += 1
                print(f"{date}: here {'worked' if worked else 'off'}, there the opposite")
            compared += 1
            date += datetime.timedelta(days=1)

    for year in sorted(ours - theirs):
        print(f"{year}: not known to chinesecalendar, not compared")
    missing = sorted(year for year in theirs - ours if year > min(ours, default=0))
    for year in missing:
        print(f"{year}: known to chinesecalendar, no file here")

    print(f"{compared} days compared, {differences} differences")
    if compared == 0:
        return 2
    return 1 if differences or missing else 0


if __name__ == "__main__":
    sys.exit(main())
