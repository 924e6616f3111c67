# SPDX-License-Identifier: Apache-2.0
"""Whether what an agreement lets people ask exists in its data model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from accord.core.agreement_form import ALL_VALUES, AgreementForm, MayAsk
from accord.core.dimension import Dimension
from accord.core.errors import InvalidQuery, suggestion
from accord.core.messages import sentence
from accord.core.model import DataModel
from accord.core.query import MEASURE_FORMS, Kind, parse_measure


def question_contradictions(
    form: AgreementForm, model: DataModel
) -> Iterator[tuple[Sequence[str | int], str]]:
    """Yield every entry under ``may_ask`` that *model* does not know."""
    ask = form.may_ask
    for index, measure in enumerate(ask.measures):
        wrong = _wrong_measure(measure, ask, model)
        if wrong:
            yield ("may_ask", "measures", index), wrong
    for name, level in ask.group_by.items():
        path = ("may_ask", "group_by", name)
        dimension = model.dimensions.get(name)
        if dimension is None:
            yield path, no_dimension(name, model)
        elif level != ALL_VALUES and level not in dimension.levels:
            known = ", ".join([*dimension.levels, ALL_VALUES])
            hint = suggestion(level, dimension.levels)
            yield path, sentence("lint.no-level", level=level, known=known) + hint
    yield from _combinations(ask, model)
    for name, values in ask.hidden_values.items():
        path = ("may_ask", "hidden_values", name)
        dimension = model.dimensions.get(name)
        if dimension is None:
            yield path, no_dimension(name, model)
        else:
            yield from _hidden(path, dimension, values)
    for index, name in enumerate(ask.sensitive):
        if name not in model.dimensions:
            yield ("may_ask", "sensitive", index), no_dimension(name, model)


def _combinations(
    ask: MayAsk, model: DataModel
) -> Iterator[tuple[Sequence[str | int], str]]:
    for index, together in enumerate(ask.never_together):
        path = ("may_ask", "never_together", index)
        if len(set(together)) != len(together):
            yield path, sentence("lint.dimension-twice")
        for place, name in enumerate(together):
            if name not in model.dimensions:
                yield (*path, place), no_dimension(name, model)


def _hidden(
    path: tuple[str, ...], dimension: Dimension, values: list[str]
) -> Iterator[tuple[Sequence[str | int], str]]:
    hidden: set[int] = set()
    for index, value in enumerate(values):
        try:
            hidden.update(dimension.leaves_under(value))
        except InvalidQuery:
            yield (*path, index), no_value(value, dimension)
    if len(hidden) >= len(dimension.tree) - 1:
        yield path, sentence("lint.everything-hidden")


def no_dimension(name: str, model: DataModel) -> str:
    """Return the sentence for a dimension that a data model lacks."""
    text = sentence("lint.no-dimension", model=model.name, dimension=name)
    return text + suggestion(name, model.dimensions)


def no_value(value: str, dimension: Dimension) -> str:
    """Return the sentence for a value that a dimension lacks."""
    known = [name for level in dimension.levels for name in dimension.domain(level)]
    text = sentence("lint.no-value", dimension=dimension.name, value=value)
    return text + suggestion(value, known)


def _wrong_measure(measure: str, ask: MayAsk, model: DataModel) -> str | None:
    try:
        found = parse_measure(measure, model)
    except InvalidQuery as error:
        return _worded(error, measure, model)
    if measure != found.family:
        return sentence("lint.measure-level", measure=found.family)
    if found.kind.of_dimension and found.of not in ask.group_by:
        return sentence("lint.measure-hidden", dimension=found.of)
    return None


def _worded(error: InvalidQuery, measure: str, model: DataModel) -> str:
    """Return the lint's own sentence for a measure that cannot be."""
    kind, _, of = measure.rstrip(")").partition("(")
    name = of.partition(":")[0]
    if error.reason == "UNKNOWN_QUANTITY":
        text = sentence("lint.no-quantity", model=model.name, quantity=name)
        return text + suggestion(name, model.quantities)
    if error.reason in ("UNKNOWN_DIMENSION", "UNKNOWN_LEVEL"):
        return no_dimension(name, model)
    known = ", ".join(MEASURE_FORMS)
    text = sentence("lint.no-measure", measure=measure, known=known)
    return text + suggestion(kind, Kind)
