# SPDX-License-Identifier: Apache-2.0
"""Exact integer noise that agencies draw in shares, inside their masks.

Each agency of a cohort adds a share of the noise to its own vector before it is
masked, so that the sum which a hub can open carries noise that the hub never saw.
Two laws can be shared: independent discrete Gaussians, whose variances add
(`accord.noise.gaussian`), and Polya shares, of which so many sum to a discrete Laplace
draw exactly (`accord.noise.polya`). The privacy arithmetic of both laws is not here
but in `accord.core`.

================================  ===================================================
`accord.noise.randomness`         uniform words and integers from a seed of 32 bytes
`accord.noise.bernoulli`          coins of ``p/q`` and of ``exp(-p/q)``
`accord.noise.tables`             an index by whole weights of any size
`accord.noise.poisson`            the Poisson law of a rational mean
`accord.noise.gaussian`           discrete Gaussian draws
`accord.noise.polya`              Polya shares
`accord.noise.reference`          the same laws draw by draw, to read and to compare
================================  ===================================================

Invariants, each of them tested:

- No floating point takes part in a draw: every decision compares integers, and the law
  of what is drawn is the stated one, not an approximation of it.
- The same seed gives the same noise, on every machine, so that an audit can draw it
  again. `accord.noise.randomness` says what follows from that for changes.
- Nothing here sees a record, a count or a cell. How long a draw takes depends on the
  noise, as with every rejection sampler: the caller answers after a fixed delay.
"""
