# SPDX-License-Identifier: Apache-2.0
"""From an exact sum to a published release: noise, charge, archive."""
