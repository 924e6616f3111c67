# SPDX-License-Identifier: Apache-2.0
"""Where records come from: files and databases, opened and read, never changed."""
