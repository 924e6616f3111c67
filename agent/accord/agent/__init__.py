# SPDX-License-Identifier: Apache-2.0
"""The agent: all that runs in an agency. Records are read here and nowhere else."""
