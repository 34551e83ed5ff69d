"""Dramatiq: the broker, the thin actors, the worker."""
