# SPDX-License-Identifier: Apache-2.0
"""What differs from one system to another: locks, private files, dumps of memory."""
