# SPDX-License-Identifier: Apache-2.0
"""Other keys for pseudonyms and order keys, and all that lies here under them."""
