"""Secrets that are known where they are looked for: connections whose every secret part is a canary, or works."""

import json
from typing import Any

#: A key that no vendor knows, with characters that every kind of quoting changes.
ODD_KEY = 'odd/key+"canary"&7c=\'1f\\93'
PROXY_PASSWORD = "proxy-password-canary-80d2"
HOST_PASSWORD = "host-password-canary-3be1"
UNUSED_PASSWORD = "unused-password-canary-66a0"
#: Not a secret: it is written where a careless provider would write a key, and must be found there.
PLANTED = 'planted-canary-5e2d-"quoted"'

NOBODY_LISTENS = "http://127.0.0.1:9"


def connections(ready: dict[str, Any]) -> dict[str, str]:
    """Return the connections of the DAG `secretive`, for a sandbox of these facts."""

    def changed(default: str, **changes: Any) -> str:
        return json.dumps(json.loads(ready["connections"][default]) | changes)

    keys = {name: ready["builderprime"][name] for name in ready["builderprime"] if name.endswith("_api_key")}
    unreachable = {"max_attempts": 2, "timeout": 5}
    proxy = NOBODY_LISTENS.replace("//", f"//clerk:{PROXY_PASSWORD}@")
    return {
        "hiringcenter_odd_key": changed("hiringcenter_default", password=ODD_KEY),
        "builderprime_odd_key": changed("builderprime_default", password=ODD_KEY),
        "builderprime_narrow_keys": changed("builderprime_default", password=UNUSED_PASSWORD, extra=keys),
        "hiringcenter_proxied": changed(
            "hiringcenter_default",
            host="http://meetings.invalid/v2",
            extra=unreachable | {"proxies": {"http": proxy}, "allow_insecure": True},
        ),
        "hiringcenter_login_in_host": changed(
            "hiringcenter_default", host=NOBODY_LISTENS.replace("//", f"//clerk:{HOST_PASSWORD}@"), extra=unreachable
        ),
    }


def secrets(ready: dict[str, Any]) -> dict[str, str]:
    """Return every secret of every connection, by name: those of the sandbox work, the canaries do not."""
    found = {
        "ODD_KEY": ODD_KEY,
        "PROXY_PASSWORD": PROXY_PASSWORD,
        "HOST_PASSWORD": HOST_PASSWORD,
        "UNUSED_PASSWORD": UNUSED_PASSWORD,
    }
    for vendor in ("hiringcenter", "builderprime"):
        keys = {f"{vendor} {name}": key for name, key in ready[vendor].items() if name.endswith("api_key")}
        found |= keys
    return found
