# SPDX-License-Identifier: Apache-2.0
"""What can be computed from released figures, with errors that follow from theirs.

It costs nothing, needs no connection, and alters no release::

    from accord.client import derive

    derive.changes(trend, over="registered_month")
    derive.ratios(table, over="gender", of="woman", to="man")
    derive.top(regions, 3)
    derive.rates(regions, {"norvale": 412_000}, over="region")
    derive.median(days)
"""

from accord.client.derive.change import Change, change, changes, changes_between
from accord.client.derive.figure import Figure, figure
from accord.client.derive.quantile import Quantile, median, quantile
from accord.client.derive.rates import Rate, rates
from accord.client.derive.ratio import Ratio, ratio, ratios, ratios_between
from accord.client.derive.table import Derived
from accord.client.derive.top import Ranked, top

__all__ = [
    "Change",
    "Derived",
    "Figure",
    "Quantile",
    "Ranked",
    "Rate",
    "Ratio",
    "change",
    "changes",
    "changes_between",
    "figure",
    "median",
    "quantile",
    "rates",
    "ratio",
    "ratios",
    "ratios_between",
    "top",
]
