# SPDX-License-Identifier: Apache-2.0
"""What this agency knows of its hub's log and ledger, and what made it doubt them."""
