# SPDX-License-Identifier: Apache-2.0
"""Sentences for people, by message id, from Babel catalogues.

The catalogues lie in ``accord/core/locale``, one for each subject; ``en`` is complete
and stands in for what another language lacks. The first part of an id names its
catalogue's subject (``deny.role``, ``explain.cohort``); an id stands in one catalogue
only and never changes its meaning. The text may.
"""

from __future__ import annotations

import functools
import gettext
import importlib.resources
from typing import Final

RIGHT_TO_LEFT: Final = frozenset({"ar", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"})


@functools.cache
def languages(subject: str | None = None) -> frozenset[str]:
    """Return the languages with catalogues.

    Args:
        subject: count only those that have the catalogue of this subject.
    """
    folder = importlib.resources.files("accord.core").joinpath("locale")
    return frozenset(
        each.name
        for each in folder.iterdir()
        if each.is_dir()
        and (subject is None or each.joinpath("LC_MESSAGES", f"{subject}.mo").is_file())
    )


def direction(language: str) -> str:
    """Return in which direction a language is written, as HTML says it."""
    return "rtl" if language in RIGHT_TO_LEFT else "ltr"


@functools.cache
def _catalogue(language: str) -> gettext.NullTranslations:
    """Return all catalogues of *language*, and of English behind them."""
    package = importlib.resources.files("accord.core")
    found: gettext.NullTranslations | None = None
    for name in dict.fromkeys(("en", language)):
        folder = package.joinpath("locale", name, "LC_MESSAGES")
        if not folder.is_dir():
            continue
        paths = [each for each in folder.iterdir() if each.name.endswith(".mo")]
        for path in sorted(paths, key=lambda each: each.name):
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
