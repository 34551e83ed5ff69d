"""From the ledger back to the user's own workbook or CSV, one honest answer per row."""
