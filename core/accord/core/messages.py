# SPDX-License-Identifier: Apache-2.0
"""Sentences for people, by message id, from Babel catalogues.

The catalogues lie in ``accord/core/locale``; ``en`` is complete and stands in for what
another language lacks. A message id never changes its meaning; the text may.
"""

from __future__ import annotations

import functools
import gettext
import importlib.resources

DOMAIN = "accord"
"""Name of the catalogue files."""


@functools.cache
def _catalogue(language: str) -> gettext.NullTranslations:
    package = importlib.resources.files("accord.core")
    found: gettext.NullTranslations | None = None
    for name in dict.fromkeys(("en", language)):
        path = package.joinpath("locale", name, "LC_MESSAGES", f"{DOMAIN}.mo")
        if path.is_file():
            with path.open("rb") as file:
                catalogue = gettext.GNUTranslations(file)
            if found is not None:
                catalogue.add_fallback(found)
            found = catalogue
    return found or gettext.NullTranslations()


def sentence(message_id: str, language: str = "en", **values: object) -> str:
    """Return the text of *message_id* with *values* put in.

    Raises:
        LookupError: no catalogue knows the id; that is a mistake in the program.
    """
    text = _catalogue(language).gettext(message_id)
    if text == message_id:
        raise LookupError(message_id)
    return text.format_map(values)
