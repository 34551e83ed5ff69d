"""A campaign under way: preflight, dispatch (claim, send, settle), guards, reconcile."""
