# SPDX-License-Identifier: Apache-2.0
"""The agency's store: columns in order of person, frozen editions, bounded answers."""
