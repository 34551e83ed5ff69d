"""From the ledger back to the user's own workbook or CSV, one honest answer per row.

A ``.xlsx`` or ``.xlsm`` comes back as the same workbook with our columns added (:mod:`.extend`); what cannot
be extended safely, ``.xls`` and ``.ods`` come back as a new workbook (:mod:`.rebuild`); CSV comes back as CSV
(:mod:`.delimited`).  A report is written whole or not at all.

What a name stands for is imported when it is first asked for: a bill on the screen needs no workbook.
"""

from typing import TYPE_CHECKING

from dispatcher.lazily import lazily

if TYPE_CHECKING:
    from dispatcher.report.files import check_folder, choose_target, report_path
    from dispatcher.report.rows import COLUMNS, Answers
    from dispatcher.report.write import ReportWritten, Source, write_report

__getattr__ = lazily(
    __name__,
    {
        "COLUMNS": "rows",
        "Answers": "rows",
        "ReportWritten": "write",
        "Source": "write",
        "check_folder": "files",
        "choose_target": "files",
        "report_path": "files",
        "write_report": "write",
    },
)

__all__ = [
    "COLUMNS",
    "Answers",
    "ReportWritten",
    "Source",
    "check_folder",
    "choose_target",
    "report_path",
    "write_report",
]
