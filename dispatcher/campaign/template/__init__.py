"""The text of each row: a bounded template over the columns, or a message column taken literally.

``headings`` finds the column a field names, ``language`` says what a template may contain, ``sandbox`` and
``filters`` run it within bounds, ``leftovers`` recognises what must never reach a phone, ``render`` puts the
texts together.
"""

from dispatcher.campaign.template.columns import cells_of
from dispatcher.campaign.template.render import Rendered, Template, TextColumn, compile_template, literal

__all__ = ["Rendered", "Template", "TextColumn", "cells_of", "compile_template", "literal"]
