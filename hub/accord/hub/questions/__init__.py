# SPDX-License-Identifier: Apache-2.0
"""From a question to what it costs: who may ask what, and who pays."""
