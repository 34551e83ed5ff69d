"""What the parser of the command line found wrong, as an error of ours: its own sentences exist in English only."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any, get_type_hints

from dispatcher.errors import UsageError
from dispatcher.settings import bounds

_COMMAND = re.compile(r"[Nn]o such command '([^']*)'")
_EXTRA = re.compile(r"unexpected extra argument\S* \((.*)\)")


def usage_error(error: Any, args: Sequence[str]) -> UsageError:
    """The parser's ``error`` about ``args``; ``found`` names the option or the word, ``problem`` what is wrong."""
    # an option without its value is found before the parser knows whose it is
    named = " ".join(["dispatcher", *(word for word in args[:1] if not word.startswith("-"))])
    context = getattr(error, "ctx", None)
    facts = _facts(error, args, context)
    return UsageError(
        "usage",
        found=str(facts["found"]),
        command=context.command_path if context else named,
        problem=facts["problem"],
        kind=facts.get("kind", ""),
        range=facts.get("range", ""),
    )


def _facts(error: Any, args: Sequence[str], context: Any) -> dict[str, Any]:
    param, message = getattr(error, "param", None), str(error.format_message())
    if type(error).__name__ == "MissingParameter":
        return {"found": _name(param), "problem": "missing"}
    if param is not None:
        typed = _typed(param, args)
        return {"found": f"{_name(param)} {typed}".strip(), "problem": "value", **_expected(param, context)}
    option = getattr(error, "option_name", None)
    if type(error).__name__ == "NoSuchOption":
        close = difflib.get_close_matches(str(option), getattr(error, "possibilities", None) or (), n=1)
        return {"found": option, "problem": "no_option", "range": "".join(close)}
    if option is not None:
        # the parser says so of a flag that takes no value, too
        problem = "needs_value" if "requires" in message else "takes_no_value"
        return {"found": option, "problem": problem}
    if found := _COMMAND.search(message):
        known = getattr(getattr(context, "command", None), "commands", {})
        close = difflib.get_close_matches(found[1], list(known))
        return {"found": found[1], "problem": "no_command", "range": ", ".join(close)}
    if found := _EXTRA.search(message):
        return {"found": found[1], "problem": "extra"}
    if message.startswith("Missing command"):
        return {"found": getattr(context, "command_path", "dispatcher"), "problem": "which_command"}
    return {"found": message, "problem": "unclear"}


def _name(param: Any) -> str:
    written = [option for option in param.opts if option.startswith("-")]
    return str(written[0] if written else (param.metavar or param.name.upper()).strip("[]"))


def _typed(param: Any, args: Sequence[str]) -> str:
    """The value of an option as it was typed, as far as that can be told."""
    for place, word in enumerate(args):
        option, equals, value = word.partition("=")
        if option in param.opts and (equals or place + 1 < len(args)):
            return value if equals else args[place + 1]
    return ""


def _expected(param: Any, context: Any) -> dict[str, str]:
    """The kind of value, and its bounds, from the command's own signature: newer parsers do not keep them."""
    hint = get_type_hints(context.command.callback, include_extras=True)[param.name]
    about, kinds = getattr(hint, "__metadata__", ()), str(getattr(hint, "__origin__", hint))
    least, most = (next((getattr(each, name, None) for each in about), None) for name in ("min", "max"))
    kind = "number" if "float" in kinds else "whole" if "int" in kinds else "text"
    return {"kind": kind, "range": bounds(least, most)}
