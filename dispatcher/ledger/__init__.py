"""What happened: states, schema, every write as a guarded transition, every read, and the pace in SQL."""
