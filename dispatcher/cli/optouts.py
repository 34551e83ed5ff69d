"""``optout``: the numbers that must not get anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dispatcher.cli import options as o

Numbers = Annotated[list[str], typer.Argument(metavar="NUMBER...", help="Numbers as people write them.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Numbers that are never sent to.", rich_markup_mode=None)
    group.command("add", help="Never send to these. Example: dispatcher optout add +393123456789")(add)
    group.command("remove", help="Allow these again. Example: dispatcher optout remove +393123456789")(remove)
    group.command("list", help="Everybody who opted out. Example: dispatcher optout list --json")(listing)
    group.command(
        "import", help="Add every number of a spreadsheet. Example: dispatcher optout import stop.csv"
    )(import_file)
    app.add_typer(group, name="optout")


def add(
    numbers: Numbers,
    default_region: o.Region = None,
    ledger: o.LedgerUrl = None,
    lang: o.Lang = None,
    as_json: o.Json = False,
) -> int:
    """Numbers that cannot be read are refused, all or none."""
    from dispatcher.application import Application
    from dispatcher.cli.session import configure

    configuration, output = configure(as_json, ledger=ledger, lang=lang, default_region=default_region)
    wanted = _recipients(numbers, configuration.settings.default_region)
    with Application(configuration, output.wording) as application:
        added = application.ledger().opt_outs.add(wanted, "command line", application.now())
    output.say(output.wording.count("optout.added", added))
    output.result({"added": added, "already": len(wanted) - added})
    return 0


def remove(
    numbers: Numbers,
    default_region: o.Region = None,
    ledger: o.LedgerUrl = None,
    lang: o.Lang = None,
    as_json: o.Json = False,
) -> int:
    """Numbers that were not on the list change nothing."""
    from dispatcher.application import Application
    from dispatcher.cli.session import configure

    configuration, output = configure(as_json, ledger=ledger, lang=lang, default_region=default_region)
    wanted = _recipients(numbers, configuration.settings.default_region)
    with Application(configuration, output.wording) as application:
        removed = application.required_ledger().opt_outs.remove(wanted)
    output.say(output.wording.count("optout.removed", removed))
    output.result({"removed": removed})
    return 0


def listing(ledger: o.LedgerUrl = None, lang: o.Lang = None, as_json: o.Json = False) -> int:
    """One line a number: since when, and how it came here."""
    from dispatcher.application import Application
    from dispatcher.cli.session import configure

    configuration, output = configure(as_json, ledger=ledger, lang=lang)
    with Application(configuration, output.wording) as application:
        opened = application.existing_ledger()
        everybody = list(opened.opt_outs.all()) if opened else []
    if not everybody:
        output.tell("optout.none")
    for one in everybody:
        output.say(f"{one.recipient}  {one.added_at:%Y-%m-%d}  {one.source}")
    output.result(
        {
            "opt_outs": [
                {"recipient": one.recipient, "since": one.added_at, "source": one.source} for one in everybody
            ]
        }
    )
    return 0


def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A spreadsheet with a column of numbers.")],
    phone_column: o.PhoneColumn = None,
    sheet: o.SheetName = None,
    default_region: o.Region = None,
    ledger: o.LedgerUrl = None,
    lang: o.Lang = None,
    as_json: o.Json = False,
) -> int:
    """Numbers that cannot be read are listed and make exit code 1; the others are added."""
    from dispatcher.application import Application
    from dispatcher.cli.session import configure
    from dispatcher.intake.optouts import read_numbers

    configuration, output = configure(as_json, ledger=ledger, lang=lang, default_region=default_region)
    numbers = read_numbers(file, sheet, phone_column, configuration.settings.default_region)
    with Application(configuration, output.wording) as application:
        added = application.ledger().opt_outs.add(numbers.recipients, file.name, application.now())
    output.say(output.wording.count("optout.added", added))
    for row, found, reason in numbers.unreadable:
        output.say(
            f"  {output.wording('plan.problem_row', row=row)}: {output.wording.reason(reason)} ({found})"
        )
    output.result(
        {
            "added": added,
            "already": len(numbers.recipients) - added,
            "unreadable": [
                {"row": row, "found": found, "code": reason} for row, found, reason in numbers.unreadable
            ],
        }
    )
    return 1 if numbers.unreadable else 0


def _recipients(numbers: list[str], region: str) -> set[str]:
    from dispatcher.campaign.phones import read_phone
    from dispatcher.campaign.reasons import Reason
    from dispatcher.errors import UsageError

    found = {}
    for number in numbers:
        phone = read_phone(number, region)
        if phone.recipient is None:
            raise UsageError("optout_number", found=number, reason=phone.reason or Reason.PHONE_NOT_VALID)
        found[phone.recipient] = number
    return set(found)
