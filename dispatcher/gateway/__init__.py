"""The Gateway SMS API: what it speaks, how it is called, and what its answers mean."""
