"""A batch SMS dispatcher for the Openapi Gateway SMS API."""

__version__ = "0.1.0"
