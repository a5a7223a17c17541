"""The only sockets: ``requests`` for a worker, ``aiohttp`` for the triggerer, and what both have in common."""
