# SPDX-License-Identifier: Apache-2.0
"""Invented case files of agencies that have never heard of the data model."""

from __future__ import annotations

import csv
import datetime
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

SECRET_NAMES = ("Maravilla", "Querubina", "Zoraida")
SECRET_NOTES = "she told us of the yellow door"

REFUGE = (
    "Expediente",
    "Nombre",
    "Apellidos",
    "Fecha de nacimiento",
    "Fecha de ingreso",
    "Sexo",
    "Nacionalidad",
    "Tipo de explotación",
    "Estado del caso",
    "Número de hijos",
    "Observaciones",
    "Color",
)
"""Columns of a shelter that writes Spanish."""


def write_table(
    path: Path,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    encoding: str = "utf-8",
    separator: str = ",",
) -> Path:
    """Write a CSV file."""
    with path.open("w", encoding=encoding, newline="") as stream:
        writer = csv.writer(stream, delimiter=separator)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def refuge(path: Path, rows: int = 120) -> Path:
    """Write the files of a shelter: Spanish, semicolons, an older Windows encoding."""
    begin = datetime.date(2024, 1, 31)
    turns = zip(
        itertools.cycle(SECRET_NAMES),
        itertools.cycle(["Mujer", "Hombre", "Mujer trans", "Desconocido"]),
        itertools.cycle(["Española", "España", "Marruecos", "Nigeria", "Rumanía"]),
        itertools.cycle(
            [
                "Explotación sexual",
                "Trabajo forzoso",
                "Explotación sexual, Mendicidad",
                "Rarísimo",
            ]
        ),
        itertools.cycle(["Abierto", "Cerrado", "Derivado"]),
        itertools.cycle(["0", "1", "2", ""]),
        range(rows),
        strict=False,
    )
    return write_table(
        path,
        REFUGE,
        [
            (
                f"E{number}",
                name,
                f"García{number}",
                (begin - datetime.timedelta(days=7000 + 13 * number)).strftime(
                    "%d/%m/%Y"
                ),
                (begin + datetime.timedelta(days=3 * number)).strftime("%d/%m/%Y"),
                sex,
                nation,
                kind,
                status,
                children,
                f"{SECRET_NOTES} {number}",
                "rojo" if number % 2 else "azul",
            )
            for name, sex, nation, kind, status, children, number in turns
        ],
        encoding="windows-1252",
        separator=";",
    )


def columns(path: Path, content: Mapping[str, Sequence[str]], rows: int = 60) -> Path:
    """Write a CSV file whose columns repeat what they have."""
    turns = [itertools.islice(itertools.cycle(each), rows) for each in content.values()]
    return write_table(path, list(content), list(zip(*turns, strict=True)))
