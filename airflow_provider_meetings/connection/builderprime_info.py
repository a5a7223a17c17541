"""Builder Prime, as far as it is known without its rules: the form of its connections."""

from airflow_provider_meetings.connection.form import VendorInfo, number, secret

__all__ = ["INFO"]

INFO = VendorInfo(
    name="Builder Prime",
    host_label="Subdomain or base URL",
    placeholders={"host": "acme", "password": "used where no narrower key is set below"},
    own_fields={
        "read_api_key": secret(
            "Read API key",
            "Key with the scopes meetings.read, meetingtypes.read, meetingresults.read and employees.read. "
            "Empty: the API key above.",
        ),
        "create_api_key": secret("Create API key", "Key with the scope meetings.create. Empty: the API key above."),
        "edit_api_key": secret("Edit API key", "Key with the scope meetings.edit. Empty: the API key above."),
        "delete_api_key": secret("Delete API key", "Key with the scope meetings.delete. Empty: the API key above."),
        "max_window_days": number(
            "Longest window (days)",
            "Builder Prime refuses to list more days at once. Longer windows are cut into slices.",
            31,
        ),
    },
    moments=frozenset({"startDateTime", "endDateTime", "createdDate", "lastModifiedDate"}),
)
