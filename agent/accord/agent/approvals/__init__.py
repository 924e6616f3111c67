# SPDX-License-Identifier: Apache-2.0
"""People at this agency look at a question before anything is counted for it."""
