"""A local server that speaks HiringCenter's and Builder Prime's meetings APIs over SQLite.

For trying DAGs without an account, for the demo and for the tests. It is written from the vendors' pages alone: it
imports nothing of the rest of the package, so it cannot share the client's misunderstandings.
"""

__all__: list[str] = []
