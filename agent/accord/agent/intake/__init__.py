# SPDX-License-Identifier: Apache-2.0
"""From an agency's files to its store: reading, mapping, coding, pseudonyms."""
