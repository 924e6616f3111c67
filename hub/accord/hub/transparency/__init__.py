# SPDX-License-Identifier: Apache-2.0
"""What a hub shows of itself: to its machine, and to the public."""
