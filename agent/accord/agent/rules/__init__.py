# SPDX-License-Identifier: Apache-2.0
"""The agency's own rules, which only tighten what the agreement allows."""
