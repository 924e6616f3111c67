# SPDX-License-Identifier: Apache-2.0
"""Taking persons and old records out of everything that this machine holds."""
