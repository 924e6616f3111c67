# SPDX-License-Identifier: Apache-2.0
"""From masked vectors and seeds to a published release: opening, noise, archive."""
