# SPDX-License-Identifier: Apache-2.0
"""Which coder a dimension or quantity of a mapping gets."""

from __future__ import annotations

import datetime

from accord.agent.intake.coding import (
    AgeCoder,
    Coder,
    ConstantCoder,
    QuantityCoder,
    SingleCoder,
)
from accord.agent.intake.consent import ConsentCoder
from accord.agent.intake.dates import Zone, zone_called
from accord.agent.intake.mapping import DimensionEntry, Mapping
from accord.agent.intake.sets import MultiCoder
from accord.core.dimension import UNKNOWN, Dimension


def coders(mapping: Mapping, today: datetime.date | None = None) -> list[Coder]:
    """Return a coder for every dimension and quantity of the data model, in order.

    A dimension that the mapping does not name is not recorded. What the mapping says
    of consent comes last.

    Args:
        mapping: what is read, and how.
        today: consent that ended before leaves a row out; else the day it is.
    """
    found: list[Coder] = []
    named = mapping.form.source.zone
    zone = None if named is None else zone_called(named)
    for name, dimension in mapping.model.dimensions.items():
        entry = mapping.form.dimensions.get(name) or DimensionEntry(value=UNKNOWN)
        found.append(_dimension_coder(dimension, entry, zone))
    for name, quantity in mapping.model.quantities.items():
        found.append(QuantityCoder(quantity, mapping.form.quantities.get(name)))
    form = mapping.form
    if form.consent is not None or form.opt_out is not None:
        day = today or datetime.datetime.now(datetime.UTC).date()
        found.append(ConsentCoder(form.consent, form.opt_out, day, zone))
    return found


def _dimension_coder(dimension: Dimension, entry: DimensionEntry, zone: Zone) -> Coder:
    if entry.value is not None:
        return ConstantCoder(dimension, entry.value)
    if entry.birth_date is not None and entry.at is not None:
        return AgeCoder(dimension, entry, entry.birth_date, entry.at, zone)
    if dimension.single and entry.column is not None:
        return SingleCoder(dimension, entry, entry.column, zone)
    return MultiCoder(dimension, entry)
