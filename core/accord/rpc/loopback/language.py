# SPDX-License-Identifier: Apache-2.0
"""Which language a browser wants, among those that there are catalogues of."""

from __future__ import annotations

from accord.core.messages import languages

MOST_WANTED = 20


def wanted(accept_language: str, subject: str | None = None) -> str:
    """Return the best language for an ``Accept-Language`` header; else English.

    Args:
        accept_language: the header.
        subject: the catalogue that a page is written in; else any will do.
    """
    offers: list[tuple[float, int, str]] = []
    for place, part in enumerate(accept_language.split(",")[:MOST_WANTED]):
        name, _, weight = part.partition(";")
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            quality = 0.0
        offers.append((-quality, place, name.strip().lower()))
    for quality, _, name in sorted(offers):
        if quality < 0 and name.partition("-")[0] in languages(subject):
            return name.partition("-")[0]
    return "en"
