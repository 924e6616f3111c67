# SPDX-License-Identifier: Apache-2.0
"""What one agency puts under its masks: its counts, and its share of the noise.

Both can be computed again: the counts from the frozen edition, the share from its seed.
Neither is ever logged, nor stored in the clear.
"""

from __future__ import annotations

from typing import assert_never

import numpy as np
import numpy.typing as npt

from accord.agent.store.bound import bounded_vector
from accord.agent.store.columns import Columns
from accord.agent.store.entries import leaf_filters
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

Vector = npt.NDArray[np.int64]


def counts(columns: Columns, terms: Terms, query: Query, model: DataModel) -> Vector:
    """Return this agency's bounded vector, every entry within what one can be.

    Shape: (terms.layout.size,).

    Raises:
        AccordError: as `bounded_vector`.
    """
    vector = bounded_vector(
        columns, terms.layout, leaf_filters(query, model), terms.vector
    )
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
