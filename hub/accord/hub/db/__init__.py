# SPDX-License-Identifier: Apache-2.0
"""The hub's database: one file by default, one writer at a time."""
