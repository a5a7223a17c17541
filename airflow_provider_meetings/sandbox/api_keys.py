"""The API keys that the sandbox knows. They open nothing but the sandbox, so they are fixed and readable."""

from dataclasses import dataclass

# Builder Prime, "API Access and Security" and the reference endpoints: one scope an action.
SCOPES = (
    "meetings.read",
    "meetings.create",
    "meetings.edit",
    "meetings.delete",
    "meetingtypes.read",
    "meetingresults.read",
    "employees.read",
)


@dataclass(frozen=True)
class ApiKey:
    """A key, the name that the request log has for it, and its permissions."""

    name: str
    secret: str
    permissions: tuple[str, ...]

    @property
    def id(self) -> str:
        """The vendor's public id of the key, as ``createdByApiKeyId`` shows it."""
        return f"key_{self.name}"


_HIRINGCENTER_PERMISSIONS = ("meetings:read", "meetings:write")

HIRINGCENTER = (
    ApiKey("main", "hc_sandbox_main_0123456789", _HIRINGCENTER_PERMISSIONS),
    # a second key, because HiringCenter counts its rate limits by key
    ApiKey("second", "hc_sandbox_second_0123456789", _HIRINGCENTER_PERMISSIONS),
)

BUILDERPRIME = (
    ApiKey("full", "bp_sandbox_full_0123456789", SCOPES),
    ApiKey("read", "bp_sandbox_read_0123456789", tuple(scope for scope in SCOPES if scope.endswith(".read"))),
    ApiKey("create", "bp_sandbox_create_0123456789", ("meetings.create",)),
    ApiKey("edit", "bp_sandbox_edit_0123456789", ("meetings.edit",)),
    ApiKey("delete", "bp_sandbox_delete_0123456789", ("meetings.delete",)),
)


def find(vendor: str, headers: dict[str, str]) -> ApiKey | None:
    """Return the key that a request's headers carry, or None if the vendor does not know it."""
    if vendor == "hiringcenter":
        # HiringCenter, "Authentication": Authorization: Bearer <API key>
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        known: tuple[ApiKey, ...] = HIRINGCENTER if scheme.lower() == "bearer" else ()
    else:
        # Builder Prime, "API Access and Security": the header x-api-key
        secret, known = headers.get("x-api-key", ""), BUILDERPRIME
    return next((key for key in known if key.secret == secret.strip()), None)
