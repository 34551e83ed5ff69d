"""A campaign as one HTML file to look at: no network, no script, everything from outside escaped."""
