"""Recurring batches: when a schedule's ticks are, what becomes of the missed ones, and the service that fires them."""
