# SPDX-License-Identifier: Apache-2.0
"""What one agency puts under its masks: its counts, and its share of the noise.

Both can be computed again: the counts from the frozen edition, the share from its seed.
Neither is ever logged, nor stored in the clear.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, assert_never

import numpy as np
import numpy.typing as npt

from accord.agent.pushdown.library import no_library
from accord.agent.state import AgentState
from accord.agent.store.bound import bounded_vector
from accord.agent.store.columns import Columns
from accord.agent.store.editions import IN_DATABASE
from accord.agent.store.entries import leaf_filters
from accord.agent.store.erasing import without_ended
from accord.core.measure import LARGEST_ENTRY
from accord.core.model import DataModel
from accord.core.placement import NoisePlan, PolyaShare
from accord.core.privacy import DiscreteGaussian
from accord.core.query import Query
from accord.core.terms import Terms
from accord.noise.gaussian import discrete_gaussian
from accord.noise.polya import polya
from accord.noise.randomness import Words
from accord.secagg.masks import WORD
from accord.secagg.messages import vector_digest

if TYPE_CHECKING:
    from accord.agent.pushdown.edition import CodedEdition

    Cases: TypeAlias = Columns | CodedEdition

Vector = npt.NDArray[np.int64]


def open_edition(
    state: AgentState,
    folder: Path,
    model: DataModel,
    today: datetime.date | None = None,
    *,
    counted_on: datetime.date | None = None,
) -> Cases:
    """Open what an edition answers from, here or in a database; no record is touched.

    Args:
        state: of the agency.
        folder: of the edition.
        model: by which its codes are read.
        today: cases whose consent has ended by then leave it before it is opened.
        counted_on: a day in the past on which it was counted, for an edition in a
            database, which such cases do not leave.

    Raises:
        AccordError: as `Columns.open`, or `CodedEdition.open`.
    """
    if not (folder / IN_DATABASE).is_file():
        if today is not None:
            folder = without_ended(state, folder, today)
        return Columns.open(folder, model_digest=model.digest)
    try:
        from accord.agent.pushdown.edition import CodedEdition
    except ImportError:
        raise no_library() from None
    return CodedEdition.open(state, folder, model, today or counted_on)


def require(cases: Cases, terms: Terms, query: Query, model: DataModel) -> None:
    """Raise what `counts` would raise for want of a column, before anything is spent.

    Raises:
        PreconditionFailed: STORE_COLUMN
        IntegrityError: STORE_BROKEN
    """
    if not isinstance(cases, Columns):
        cases.plan(terms.layout, leaf_filters(query, model), terms.vector)


def counts(cases: Cases, terms: Terms, query: Query, model: DataModel) -> Vector:
    """Return this agency's bounded vector, every entry within what one can be.

    Shape: (terms.layout.size,).

    Raises:
        AccordError: as `bounded_vector`, or the database cannot do it.
    """
    where = leaf_filters(query, model)
    if isinstance(cases, Columns):
        vector = bounded_vector(cases, terms.layout, where, terms.vector)
    else:
        vector = cases.vector(terms.layout, where, terms.vector)
    least = 0 if terms.layout.numbers is None else -LARGEST_ENTRY
    return np.clip(vector, least, LARGEST_ENTRY)


def share(plan: NoisePlan, seed: bytes, size: int) -> Vector:
    """Return the share of the noise that this agency adds; the same from one seed.

    Args:
        plan: for the cohort that answers.
        seed: 32 bytes, fresh for every attempt.
        size: number of entries.
    """
    match plan.share:
        case None:
            return np.zeros(size, np.int64)
        case DiscreteGaussian(scale=scale):
            return discrete_gaussian(Words(seed), scale, size)
        case PolyaShare(scale=scale, parts=parts):
            return polya(Words(seed), scale, parts, size)
        case other:
            assert_never(other)


def digest_of(vector: Vector) -> bytes:
    """Return the digest of counts, for the commitment to them."""
    return vector_digest(vector.astype(WORD, copy=False).tobytes())
