"""All commands, and the one place where an exception becomes an exit code.

Nothing heavy is imported here: ``--help`` must not pay for pandas.  Each command's module imports what it
needs when it runs, and only the module of the command that was asked for is imported at all.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import typer

from dispatcher import __version__
from dispatcher.cli.output import Lost, Output, silence
from dispatcher.errors import DispatcherError, Interrupted, UsageError, frames_of
from dispatcher.wording import Wording

EXIT_BUG = 70
EXIT_LOST = 1  # what was asked for is not there

# newer typer carries its own copy of click: the parser's errors are found through what typer itself exports
_WRONG_USAGE: type[Exception] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)

# which module has which command; the help keeps their order
MODULES = {
    "check": "check",
    "run": "run_command",
    "resume": "operate",
    "pause": "operate",
    "cancel": "operate",
    "reconcile": "reconcile",
    "status": "status",
    "report": "status",
    "health": "status",
    "optout": "optouts",
    "messages": "messages",
    "otp": "otp",
    "purge": "purge",
    "simulator": "simulate",
    "account": "account",
    "worker": "worker",
    "serve": "serve",
    "watch": "watch",
    "approve": "watch",
    "reject": "watch",
    "schedule": "schedule",
}


def command_line(asked: str | None = None) -> typer.Typer:
    """The command ``asked`` and those of its module, or all where it is no command: help and suggestions name them."""
    app = typer.Typer(
        name="dispatcher",
        help="Send a text to everyone in a spreadsheet: once, at the announced price, with one answer per row.",
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=False,
    )
    app.callback(invoke_without_command=True)(_alone)
    for module in [MODULES[asked]] if asked in MODULES else dict.fromkeys(MODULES.values()):
        import_module(f"dispatcher.cli.{module}").register(app)
    return app


def _version(value: bool) -> None:
    if value:
        typer.echo(f"dispatcher {__version__}")
        raise typer.Exit


def _alone(
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    if context.invoked_subcommand is None:
        words = Wording(language_of(sys.argv[1:]))
        for step in ("try", "check", "live"):
            typer.echo(words(f"first_steps.{step}"))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code.  No exception and no traceback leaves this function."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    output = Output(as_json="--json" in args, wording=Wording(language_of(args)))
    try:
        code = _run(args, output)
        return EXIT_LOST if code == 0 and isinstance(sys.stdout, Lost) else code
    except BrokenPipeError:  # help that went into `head`, say; what Output prints never ends here
        silence(sys.stdout)
        silence(sys.stderr)
        return 0
    except Exception as error:  # noqa: BLE001 - the last line of defence: a person gets a sentence, the log the traceback
        try:
            log = str(_keep_traceback(error))
        except OSError as unwritten:  # a full disk, say, which may be what is wrong
            log = f"({unwritten.strerror})"
        output.error(DispatcherError("bug", found=type(error).__name__, log=log))
        return EXIT_BUG


def _run(args: list[str], output: Output) -> int:
    try:
        outcome = command_line(args[0] if args else None)(
            args=args, prog_name="dispatcher", standalone_mode=False
        )
    except DispatcherError as error:
        output.error(error)
        return error.exit_code
    except _WRONG_USAGE as error:
        from dispatcher.cli.parser_errors import usage_error

        output.error(usage_error(error, args))
        return UsageError.exit_code
    except (typer.Abort, KeyboardInterrupt):
        output.error(Interrupted("interrupted"))
        return Interrupted.exit_code
    # typer turns a Ctrl-C that nobody caught into this number; a command that was paused gives an Exit
    if type(outcome) is int and outcome == Interrupted.exit_code:
        output.error(Interrupted("interrupted"))
    return outcome if isinstance(outcome, int) else 0


def language_of(arguments: Sequence[str]) -> str:
    """The language to speak before settings are loaded: the flag, the environment, then the machine's locale."""
    import os

    for position, argument in enumerate(arguments):
        if argument.startswith("--lang="):
            return argument.removeprefix("--lang=")
        if argument == "--lang" and position + 1 < len(arguments):
            return arguments[position + 1]
    if chosen := os.environ.get("DISPATCHER_LANG"):
        return chosen
    return (os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or "en")[:2]


def _keep_traceback(error: Exception) -> Path:
    with tempfile.NamedTemporaryFile(
        "w", prefix="dispatcher-", suffix=".log", delete=False, encoding="utf-8"
    ) as log:
        log.write(frames_of(error) + "\n")
    return Path(log.name)
