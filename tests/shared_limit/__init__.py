"""Processes that share a rate limit over Redis."""
