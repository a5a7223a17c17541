"""The bodies that the tests of the sandbox send."""

INTERVIEW = {
    "prospectId": "prospect-1",
    "meetingDate": 1_800_000_000_000,
    "timeZone": "America/New_York",
    "meetingType": "virtual",
    "ownerId": "owner-1",
}

# the page's own example of a create
VISIT = {
    "clientOpportunityId": 102988,
    "title": "Created from API 1",
    "location": "5 Spooner St, Providence, RI 02907",
    "startDateTime": 1742403600000,
    "endDateTime": 1742410800000,
    "employee": {"id": 50, "firstName": "Betty", "lastName": "Brown"},
    "meetingTypeId": 1011,
    "reminders": [{"unitsBefore": 30, "unitType": "MINUTES"}],
}
