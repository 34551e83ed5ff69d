"""The sheets we add to a workbook beside the user's own: what is in them, their XML, and their place in a package."""
