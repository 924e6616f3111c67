# SPDX-License-Identifier: Apache-2.0
"""The log as a Merkle tree: its growth, its signed heads, witnesses and proofs."""
