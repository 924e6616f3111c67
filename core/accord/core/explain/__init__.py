# SPDX-License-Identifier: Apache-2.0
"""An agreement, and what it says to one question, in sentences for people.

Every sentence is a message id with values and names the clause that it comes from.
"""

from accord.core.explain.agreement import explain_agreement
from accord.core.explain.passage import SECTIONS, Passage
from accord.core.explain.places import Place, place_of
from accord.core.explain.question import (
    Binding,
    Cost,
    QueryExplanation,
    explain_query,
)

__all__ = [
    "SECTIONS",
    "Binding",
    "Cost",
    "Passage",
    "Place",
    "QueryExplanation",
    "explain_agreement",
    "explain_query",
    "place_of",
]
