# SPDX-License-Identifier: Apache-2.0
"""What one agreement allows that another does not.

`orders` says which of two values is looser, `shifts` compares clauses, `difference`
compares whole policies over every class of request, `lines` says it in plain words.
"""
