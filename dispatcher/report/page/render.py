"""The page as one HTML file: a template filled with escaping on, and a policy that lets nothing in from outside."""

from __future__ import annotations

import base64
import itertools
from hashlib import sha256
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from dispatcher.errors import UsageError
from dispatcher.report.files import written_whole
from dispatcher.report.page.content import PageContent
from dispatcher.wording import Wording

_HEAD = 400  # bytes at the beginning of a page in which its mark stands


def mark_of(ledger_id: str, campaign_id: int) -> str:
    """By what a page of ours is known again: that of this campaign may be replaced."""
    return f"dispatcher report {ledger_id}.{campaign_id}"


def render(page: PageContent, words: Wording, mark: str) -> str:
    """The whole file.  Nothing in it is taken from elsewhere, and nothing in it runs."""
    folder = resources.files(__package__)
    # the policy names the style by what it is, so not even a style of somebody else's making applies
    style = (folder / "page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(
        (folder / "page.html").read_text(encoding="utf-8")
    )
    return template.render(
        page=page,
        words=words,
        mark=mark,
        style=Markup(style),  # noqa: S704 - our own file, and the hash is of these bytes
        style_hash=digest,
    )


def write_page(html: str, target: Path) -> None:
    """Write the page, whole or not at all.

    Raises UsageError ``report_folder_not_writable``, FileError ``report_…``.
    """
    with written_whole(target) as file:
        file.write(html.encode("utf-8", "replace"))


def page_target(wanted: Path, mark: str, *, chosen: bool) -> Path:
    """``wanted``, or ``X.report-2.html``, ``-3`` … where that is not this campaign's page.

    A place that a person has ``chosen`` is taken or refused: UsageError ``report_page_exists``.
    """
    for n in itertools.count(1):
        target = wanted if n == 1 else wanted.with_name(f"{wanted.stem}-{n}{wanted.suffix}")
        if not target.exists() or _is_page(target, mark):
            return target
        if chosen:
            raise UsageError("report_page_exists", file=str(target))
    raise AssertionError("unreachable")


def _is_page(path: Path, mark: str) -> bool:
    try:
        with path.open("rb") as file:
            return f"<!-- {mark} -->".encode() in file.read(_HEAD)
    except OSError:
        return False
