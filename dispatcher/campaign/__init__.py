"""A spreadsheet becomes a plan.  Pure apart from reading the file: no database, no network, no clock."""
