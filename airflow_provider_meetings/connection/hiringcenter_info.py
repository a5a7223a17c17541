"""HiringCenter, as far as it is known without its rules: the form of its connections."""

from airflow_provider_meetings.connection.form import VendorInfo, number, secret

__all__ = ["INFO", "URL"]

#: Where HiringCenter is, by its overview page.
URL = "https://api.hiringcenterpro.com/v2"

INFO = VendorInfo(
    name="HiringCenter",
    host_label="Base URL",
    placeholders={"host": URL},
    own_fields={
        "rate_limit_per_minute": number(
            "Requests per minute", "What HiringCenter allows this API key. Waiting tasks stay below it together.", 500
        ),
        "rate_limit_per_hour": number(
            "Requests per hour", "What HiringCenter allows this API key. Waiting tasks stay below it together.", 10000
        ),
        "rate_limit_redis_dsn": secret(
            "Redis of the rate limit",
            "redis://host:6379/1: all workers and triggerers count their requests there, and stay below the limits "
            "together. Empty: each counts its own. Takes the packages of airflow-provider-meetings[redis].",
        ),
        "idempotency_window": number(
            "Idempotency window (s)",
            "How long HiringCenter remembers an idempotency key. Past it, a repeat looks for the meeting before it "
            "sends.",
            86400,
        ),
        "update_method": {
            "label": "Update method",
            "description": (
                "HTTP method that changes a meeting. Leave it at POST unless HiringCenter tells you otherwise."
            ),
            "schema": {"type": "string", "enum": ["POST", "PUT", "PATCH"], "default": "POST"},
        },
    },
    moments=frozenset({"meetingDate", "createdAt", "updatedAt"}),
)
