# SPDX-License-Identifier: Apache-2.0
"""This agency's own exact tables, which nobody but the agency sees."""
