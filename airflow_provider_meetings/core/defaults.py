"""What a connection has where it says nothing else: each default stands once, for the forms and the settings."""

from typing import Final

__all__ = ["MAX_ATTEMPTS", "MAX_PARALLEL_REQUESTS", "MAX_WAIT", "TIMEOUT"]

#: Seconds that one whole request may take.
TIMEOUT: Final = 30
#: Sends of one request, the first included.
MAX_ATTEMPTS: Final = 5
#: Seconds that a worker may sleep for the vendor within one call.
MAX_WAIT: Final = 60
#: Requests that one task, or the triggerer, may have under way at once.
MAX_PARALLEL_REQUESTS: Final = 4
