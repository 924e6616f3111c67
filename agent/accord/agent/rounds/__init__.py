# SPDX-License-Identifier: Apache-2.0
"""This agency's part in a query: ready, masked, revealed, and what is kept of each."""
