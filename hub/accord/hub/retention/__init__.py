# SPDX-License-Identifier: Apache-2.0
"""Content that an agreement lets the hub keep no longer; charges and hashes stay."""
