# SPDX-License-Identifier: Apache-2.0
"""The agency's secrets: files of their own, sealed under a key that lies elsewhere."""
