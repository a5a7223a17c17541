"""What the tests of the transports have, for those that take the packages of the extra `redis`."""

from tests.support.sandbox import _quick  # noqa: F401 - fixtures
