"""THE path from a file to a started campaign: plan, guard, preflight, ask, start."""
