# SPDX-License-Identifier: Apache-2.0
"""The hub: enforces agreements, asks agencies, adds noise, keeps the ledger."""
