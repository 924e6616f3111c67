# SPDX-License-Identifier: Apache-2.0
"""Answers from a coded table in the agency's own database, by the rule of the store."""
