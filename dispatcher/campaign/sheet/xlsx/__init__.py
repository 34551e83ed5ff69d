"""Worksheets of xlsx files: as arrays where their XML is plain; hidden rows and formats of cells in every case."""
