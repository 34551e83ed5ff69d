"""The flags that several commands share, each with its help, once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[
    bool, typer.Option("--json", help="One JSON object on standard output; all else goes to standard error.")
]
Lang = Annotated[str | None, typer.Option("--lang", help="Language of what you read: en, it or es.")]
LedgerUrl = Annotated[
    str | None,
    typer.Option("--ledger", help="Where everything is recorded, e.g. sqlite:////srv/sms/ledger.db"),
]
GatewayName = Annotated[
    str | None,
    typer.Option(
        "--gateway", help="simulator, sandbox, production, or a base URL (https, or http on this machine)."
    ),
]
Rate = Annotated[
    int | None, typer.Option("--rate-per-minute", min=1, help="Requests a minute, over all processes.")
]
CampaignId = Annotated[
    int, typer.Argument(metavar="ID", help="The campaign's number, as `run` and `status` print it.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Answer the question before sending with yes.")]

SpreadsheetFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="A CSV, .xlsx, .xlsm, .xls or .ods file.")
]
SheetName = Annotated[
    str | None, typer.Option("--sheet", help="The worksheet to read; default: the first visible one.")
]
EncodingName = Annotated[
    str | None, typer.Option("--encoding", help="The CSV's encoding, when it is not recognised.")
]
LocaleName = Annotated[
    str | None, typer.Option("--locale", help="How dates and numbers are written in texts: it, es or en.")
]
Region = Annotated[
    str | None, typer.Option("--default-region", help="Country of numbers written without prefix, e.g. IT.")
]
PhoneColumn = Annotated[
    str | None, typer.Option("--phone-column", help="Heading of the column with the numbers.")
]
MessageColumn = Annotated[
    str | None,
    typer.Option("--message-column", help="Heading of the column with the texts (sent as they are)."),
]
SenderColumn = Annotated[
    str | None, typer.Option("--sender-column", help="Heading of the column with the senders.")
]
MessageText = Annotated[
    str | None,
    typer.Option(
        "--message", "-m", help='The text, with columns as fields: "Hello {{ Name }}, see you on {{ Date }}."'
    ),
]
MessageFile = Annotated[
    Path | None, typer.Option("--message-file", help="A UTF-8 file that holds the text, like --message.")
]
SenderName = Annotated[
    str | None, typer.Option("--sender", help="What the phone shows: 3 to 11 letters, digits, spaces.")
]
RouteName = Annotated[str | None, typer.Option("--route", help="Send everything through one route: ww.")]
Gsm7 = Annotated[
    bool,
    typer.Option(
        "--gsm7", help="Replace characters that make texts dearer (È becomes E'); what changed is shown."
    ),
]
SinglePart = Annotated[
    bool, typer.Option("--single-part", help="Leave out texts that need more than one part.")
]
Duplicates = Annotated[
    str, typer.Option("--duplicates", help="Same text to the same number twice in the file: skip or keep.")
]
Bundle = Annotated[
    list[str] | None,
    typer.Option("--bundle", help="Prepaid parts of a route, e.g. IT=5000; may be repeated."),
]
Wallet = Annotated[str | None, typer.Option("--wallet", help="Credit in the wallet, e.g. 20.00")]
Prices = Annotated[
    Path | None, typer.Option("--prices", help="Your price book (TOML), see samples/prices.toml.")
]
CappedToken = Annotated[
    bool,
    typer.Option(
        "--capped-token",
        help="Send with a token of the campaign's own, which the provider limits to the approved cost and rows.",
    ),
]
AskAccount = Annotated[
    bool,
    typer.Option(
        "--account", help="Ask the provider what wallet and bundles hold; the only use of the network."
    ),
]
Again = Annotated[bool, typer.Option("--again", help="Send even to people who already got this very text.")]
PriorityName = Annotated[
    str | None,
    typer.Option(
        "--priority", help="high, normal or low: a higher one goes first while campaigns share the limit."
    ),
]
MaxCost = Annotated[
    str | None, typer.Option("--max-cost", help="Never spend more than this on the campaign.")
]
PreflightMode = Annotated[
    str,
    typer.Option(
        "--preflight",
        help="Dry runs before sending: auto (all; a covering set above 10,000 texts), all, sample:N, none (dangerous).",
    ),
]
ForbidFile = Annotated[
    Path | None,
    typer.Option(
        "--forbid-file",
        help="Your list of words that must not go out (UTF-8, one a line): such rows are not sent.",
    ),
]
ReportDir = Annotated[
    Path | None, typer.Option("--report-dir", help="Folder for the report; default: beside the file.")
]
SendAt = Annotated[
    str | None, typer.Option("--send-at", help='When to send, e.g. "2026-12-01 09:00"; default: at once.')
]
SendAtColumn = Annotated[
    str | None,
    typer.Option(
        "--send-at-column", help="Heading of the column with the times to send at; default: send_at."
    ),
]
RemindBefore = Annotated[
    list[str] | None,
    typer.Option(
        "--remind-before",
        help="Send so long before the date of each row, e.g. 24h; several times for several reminders.",
    ),
]
DateColumn = Annotated[
    str | None, typer.Option("--date-column", help="Heading of the column with the appointments.")
]
TimeColumn = Annotated[
    str | None, typer.Option("--time-column", help="Heading of the column with their hours, if apart.")
]
KeyColumn = Annotated[
    str | None,
    typer.Option("--key-column", help="Heading of a column that tells the appointments of one phone apart."),
]
UsefulFor = Annotated[
    str | None,
    typer.Option(
        "--useful-for", help="Do not send later than so long after its time, e.g. 2h (else: too_late)."
    ),
]
RecipientTime = Annotated[
    bool, typer.Option("--recipient-time", help="Times are those of the recipient's country, not yours.")
]
Marketing = Annotated[
    bool,
    typer.Option("--marketing", help="Advertising: only in the hours and on the days the country allows."),
]
MostPerPerson = Annotated[
    str | None,
    typer.Option(
        "--cap", help='At most so many messages to one person, over all campaigns, e.g. "1 per 24h".'
    ),
]
Detach = Annotated[
    bool,
    typer.Option("--detach", help="Leave the sending to a worker, watcher or scheduler that is running."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Plan and screen only; nothing is sent.")]
NoWait = Annotated[
    bool, typer.Option("--no-wait", help="Do not wait for rows in doubt: end with exit code 1 instead.")
]
WaitDelivery = Annotated[
    str | None,
    typer.Option(
        "--wait-delivery",
        help="After sending, stay until all messages are delivered or not, so long at most, e.g. 10m.",
    ),
]
CanaryRows = Annotated[
    int | None,
    typer.Option(
        "--canary",
        min=1,
        max=1_000,
        help="Send so many rows first, at most 1,000; the rest only when price, parts and delivery are right.",
    ),
]
CanaryWait = Annotated[
    str | None, typer.Option("--canary-wait", help="Wait so long for their delivery; default: 10m.")
]
WithoutRefused = Annotated[
    bool,
    typer.Option("--without-refused", help="Leave out the rows whose text is forbidden and send the others."),
]
