# SPDX-License-Identifier: Apache-2.0
"""A brief as one file that needs nothing else: HTML or Markdown.

Drawings are in the file itself, as images that run no script; the page forbids
whatever would load from elsewhere.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Iterator
from typing import Final

from accord.client.brief.composing import Brief, Section
from accord.core.messages import direction, sentence

_STYLE: Final = (
    "body{font:11pt/1.45 sans-serif;max-width:46em;margin:2em auto;padding:0 1em}"
    "h1{font-size:1.5em}h2{font-size:1.1em;margin:1.2em 0 .3em}"
    "p{margin:.3em 0}img{max-width:100%;height:auto}"
    "ul{margin:.3em 0;padding-inline-start:1.2em}"
    "footer{font-size:.85em;overflow-wrap:anywhere;margin-top:2em;"
    "border-top:1px solid}"
    "@media print{body{margin:0;max-width:none}}"
)
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_MARKS: Final = re.compile(r"([\\`*_{}\[\]<>#|])")


def as_html(brief: Brief) -> str:
    """Return the brief as a page for a browser or a printer."""
    language = brief.language
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="{language}" dir="{direction(language)}">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<title>{html.escape(brief.title)}</title>",
            f"<style>{_STYLE}</style>",
            "</head>",
            "<body>",
            f"<h1>{html.escape(brief.title)}</h1>",
            *(line for section in brief.sections for line in _html(section, language)),
            "<footer>",
            *_paragraphs(brief.notes),
            *_listed(sentence("brief.not-covered", language), brief.not_covered),
            *_listed(sentence("brief.citation", language), brief.citations),
            "</footer>",
            "</body>",
            "</html>",
            "",
        ]
    )


def as_markdown(brief: Brief) -> str:
    """Return the brief as Markdown."""
    language = brief.language
    lines = [f"# {_plain(brief.title)}", ""]
    for section in brief.sections:
        lines += [f"## {_plain(section.title)}", ""]
        if section.drawing:
            lines += [f"![{_alternative(section, language)}]({_image(section)})", ""]
        lines += [f"- {_plain(said)}" for said in section.sentences]
        lines.append("")
    for note in brief.notes:
        lines += [_plain(note), ""]
    for heading, said in (
        (sentence("brief.not-covered", language), brief.not_covered),
        (sentence("brief.citation", language), brief.citations),
    ):
        if said:
            lines += [f"## {heading}", "", *(f"- {_plain(each)}" for each in said), ""]
    return "\n".join(lines)


def _html(section: Section, language: str) -> Iterator[str]:
    yield f"<h2>{html.escape(section.title)}</h2>"
    if section.drawing:
        words = html.escape(_alternative(section, language))
        yield f'<p><img alt="{words}" src="{_image(section)}"></p>'
    yield from _paragraphs(section.sentences)


def _paragraphs(sentences: Iterable[str]) -> Iterator[str]:
    return (f"<p>{html.escape(said)}</p>" for said in sentences)


def _listed(heading: str, sentences: Iterable[str]) -> Iterator[str]:
    items = [f"<li>{html.escape(said)}</li>" for said in sentences]
    if items:
        yield from (f"<h2>{html.escape(heading)}</h2>", "<ul>", *items, "</ul>")


def _alternative(section: Section, language: str) -> str:
    return _plain(sentence("brief.drawing", language, title=section.title))


def _image(section: Section) -> str:
    content = base64.b64encode(section.drawing.encode()).decode()
    return f"data:image/svg+xml;base64,{content}"


def _plain(text: str) -> str:
    """Return text in which Markdown finds no marks."""
    return _MARKS.sub(r"\\\1", text)
