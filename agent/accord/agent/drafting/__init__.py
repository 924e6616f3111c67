# SPDX-License-Identifier: Apache-2.0
"""A first draft of a mapping, from what a source's columns look like."""
