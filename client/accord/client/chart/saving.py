# SPDX-License-Identifier: Apache-2.0
"""Pictures as files, made on this machine: nothing is fetched and nothing is sent."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from accord.client.frames import missing
from accord.core.errors import ConfigurationError, InvalidQuery

if TYPE_CHECKING:
    import altair as alt

_FORMATS: Final = (".png", ".svg", ".html")

_SCALE: Final = 2
"""Pixels of a PNG for one of the picture, so that print is sharp."""

_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body{{font-family:sans-serif;margin:1em}}svg{{max-width:100%;height:auto}}</style>
</head><body><figure role="img" aria-label="{title}">{svg}</figure></body></html>
"""


def save(drawing: alt.TopLevelMixin, file: str | Path) -> Path:
    """Write a picture as PNG, SVG or a page of HTML, by the file's ending.

    Nothing in the file refers to anything elsewhere. What is there is overwritten.

    Raises:
        InvalidQuery: PICTURE_FORMAT_UNKNOWN.
        ConfigurationError: LIBRARY_MISSING, PICTURE_UNWRITABLE.
    """
    path, ending = checked(file)
    content = _png(drawing) if ending == ".png" else _text(drawing, ending)
    try:
        path.write_bytes(content)
    except OSError:
        raise ConfigurationError(
            "PICTURE_UNWRITABLE",
            f"The picture cannot be written to {path}: name a place that you may "
            "write to.",
        ) from None
    return path


def checked(file: str | Path) -> tuple[Path, str]:
    """Return a file and its ending, which says as what a picture is written.

    Raises:
        InvalidQuery: PICTURE_FORMAT_UNKNOWN.
    """
    path = Path(file)
    ending = path.suffix.lower()
    if ending not in _FORMATS:
        raise InvalidQuery(
            "PICTURE_FORMAT_UNKNOWN",
            f"A picture is not written as {path.name}; end its name in "
            f"{', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}.",
        )
    return path, ending


def _png(drawing: alt.TopLevelMixin) -> bytes:
    return bytes(
        _converter().vegalite_to_png(drawing.to_dict(), scale=_SCALE, **_here())
    )


def _text(drawing: alt.TopLevelMixin, ending: str) -> bytes:
    spec = drawing.to_dict()
    svg = str(_converter().vegalite_to_svg(spec, **_here()))
    if ending == ".svg":
        return svg.encode()
    title = spec["title"]["text"]
    words = title if isinstance(title, str) else " ".join(title)
    return _PAGE.format(title=html.escape(words), svg=svg).encode()


def _converter() -> Any:  # noqa: ANN401 - a module without types
    try:
        import vl_convert
    except ImportError:
        raise missing("vl-convert", extra="plots") from None
    return vl_convert


def _here() -> dict[str, Any]:
    """Return the settings with which nothing is fetched."""
    import altair as alt

    return {
        "vl_version": ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2]),
        "allowed_base_urls": [],
    }
