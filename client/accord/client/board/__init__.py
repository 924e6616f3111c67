# SPDX-License-Identifier: Apache-2.0
"""A page for board members, on their own machine and nowhere else."""
