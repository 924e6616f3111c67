# SPDX-License-Identifier: Apache-2.0
"""What one agency puts under its masks: its counts, and its share of the noise.

Both can be computed again: the counts from the frozen edition, the share from its seed.
Neither is ever logged, nor stored in the clear.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias, assert_never

import numpy as np
import numpy.typing as npt

from accord.agent.pushdown.library import no_library
from accord.agent.state import AgentState
from accord.agent.store.bound import bounded_vector
from accord.agent.store.columns import Columns
from accord.agent.store.editions import IN_DATABASE
from accord.agent.store.entries import LeafFilter, leaf_filters
from accord.core.layout import Layout
from accord.core.measure import LARGEST_ENTRY, ComponentVector
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

    Cases: TypeAlias = "StoredEdition | CodedEdition"

Vector = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StoredEdition:
    """An edition in the store, open, as it counts on a day."""

    columns: Columns
    today: datetime.date | None = None
    """Cases whose consent has ended by then count in nothing; none: all count."""

    def __enter__(self) -> Self:
        """Return the edition itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the files go."""
        self.columns.close()

    def vector(
        self, layout: Layout, where: Sequence[LeafFilter], vector: ComponentVector
    ) -> Vector:
        """Return what `bounded_vector` does on that day."""
        return bounded_vector(self.columns, layout, where, vector, today=self.today)


def open_edition(
    state: AgentState,
    folder: Path,
    model: DataModel,
    today: datetime.date,
) -> Cases:
    """Open what an edition answers from, here or in a database; no record is touched.

    Args:
        state: of the agency.
        folder: of the edition.
        model: by which its codes are read.
        today: cases whose consent has ended by then count in nothing.

    Raises:
        AccordError: as `Columns.open`, or `CodedEdition.open`.
    """
    if not (folder / IN_DATABASE).is_file():
        columns = Columns.open(folder, model_digest=model.digest)
        return StoredEdition(columns=columns, today=today)
    return _coded().open(state, folder, model, today)


def open_current(state: AgentState, model: DataModel, today: datetime.date) -> Cases:
    """Open the cases that the next edition will be made of.

    Raises:
        AccordError: as `open_edition`, or SETTINGS_INVALID.
    """
    settings = state.settings().store
    if settings.database is None:
        columns = Columns.open(state.current, model_digest=model.digest)
        return StoredEdition(columns=columns, today=today)
    return _coded().current(
        state, settings.database, settings.schema_name, model, today
    )


def _coded() -> type[CodedEdition]:
    try:
        from accord.agent.pushdown.edition import CodedEdition
    except ImportError:
        raise no_library() from None
    return CodedEdition


def require(cases: Cases, terms: Terms, query: Query, model: DataModel) -> None:
    """Raise what `counts` would raise for want of a column, before anything is spent.

    Raises:
        PreconditionFailed: STORE_COLUMN
        IntegrityError: STORE_BROKEN
    """
    if not isinstance(cases, StoredEdition):
        cases.plan(terms.layout, leaf_filters(query, model), terms.vector)


def counts(cases: Cases, terms: Terms, query: Query, model: DataModel) -> Vector:
    """Return this agency's bounded vector, every entry within what one can be.

    Shape: (terms.layout.size,).

    Raises:
        AccordError: as `bounded_vector`, or the database cannot do it.
    """
    vector = cases.vector(terms.layout, leaf_filters(query, model), terms.vector)
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
