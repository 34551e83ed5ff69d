"""A stand-in for the gateway over real HTTP, written from the published description alone."""
