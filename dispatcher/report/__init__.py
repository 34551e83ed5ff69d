"""From the ledger back to the user's own workbook or CSV, one honest answer per row.

A ``.xlsx`` or ``.xlsm`` comes back as the same workbook with our columns added (:mod:`.extend`); what cannot
be extended safely, ``.xls`` and ``.ods`` come back as a new workbook (:mod:`.rebuild`); CSV comes back as CSV
(:mod:`.delimited`).  A report is written whole or not at all.
"""

from dispatcher.report.files import check_folder, choose_target, report_path
from dispatcher.report.rows import COLUMNS, ReportRow
from dispatcher.report.write import ReportWritten, Source, write_report

__all__ = [
    "COLUMNS",
    "ReportRow",
    "ReportWritten",
    "Source",
    "check_folder",
    "choose_target",
    "report_path",
    "write_report",
]
