# SPDX-License-Identifier: Apache-2.0
"""Looks for what keeps an agent from working, and says what to do. Changes nothing."""
