"""The meetings of both vendors, asked of their APIs directly: the demo's eyes, not the provider's."""

from collections.abc import Iterator
from typing import Any

import pendulum
import requests

Row = dict[str, str]


def meetings(ready: dict[str, Any], start: pendulum.DateTime, end: pendulum.DateTime) -> dict[str, Row]:
    """The meetings of a window, earliest first, as readable rows by vendor and id."""
    rows = [*_hiringcenter(ready["hiringcenter"], start, end), *_builderprime(ready["builderprime"], start, end)]
    return {f"{row['vendor']} {row['id']}": row for row in sorted(rows, key=lambda row: (row["vendor"], row["when"]))}


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    return session


def _hiringcenter(account: dict[str, Any], start: pendulum.DateTime, end: pendulum.DateTime) -> Iterator[Row]:
    parameters: dict[str, Any] = {"meetingDateAfter": _ms(start), "meetingDateBefore": _ms(end), "limit": 200}
    headers = {"Authorization": f"Bearer {account['api_key']}"}
    with _session() as session:
        while True:
            url = f"{account['host']}/meetings"
            answer = session.get(url, params=parameters, headers=headers, timeout=30)
            answer.raise_for_status()
            for meeting in answer.json()["items"]:
                yield {
                    "vendor": "HiringCenter",
                    "id": str(meeting["id"]),
                    "when": _readable(meeting["meetingDate"], meeting["timeZone"]),
                    "what": meeting["meetingType"],
                    "where": meeting["location"] or "",
                    "notes": meeting["notes"] or "",
                }
            token = (answer.json().get("pagination") or answer.json()).get("nextPageToken")
            if not token:
                return
            parameters["pageToken"] = token


def _builderprime(account: dict[str, Any], start: pendulum.DateTime, end: pendulum.DateTime) -> Iterator[Row]:
    parameters: dict[str, Any] = {"start-date-from": _ms(start), "start-date-to": _ms(end), "limit": 100, "page": 0}
    headers = {"x-api-key": account["api_key"]}
    with _session() as session:
        while True:
            url = f"{account['host']}/meetings/v1"
            answer = session.get(url, params=parameters, headers=headers, timeout=30)
            answer.raise_for_status()
            page = answer.json()["data"]
            for meeting in page:
                yield {
                    "vendor": "Builder Prime",
                    "id": str(meeting["id"]),
                    "when": _readable(meeting["startDateTime"], "UTC"),
                    "what": meeting.get("meetingTypeName") or "",
                    "where": meeting.get("location") or "",
                    "notes": meeting.get("title") or "",
                }
            if len(page) < parameters["limit"]:
                return
            parameters["page"] += 1


def _ms(moment: pendulum.DateTime) -> int:
    return int(moment.timestamp() * 1000)


def _readable(milliseconds: int, zone: str) -> str:
    return pendulum.from_timestamp(milliseconds / 1000, tz=zone).format("YYYY-MM-DD HH:mm zz")
