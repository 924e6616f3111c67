# SPDX-License-Identifier: Apache-2.0
"""The first day of an agent as a page on this machine, for those without a terminal."""
