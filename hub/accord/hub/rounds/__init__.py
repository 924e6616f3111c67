# SPDX-License-Identifier: Apache-2.0
"""Asking agencies and gathering their answers; what waits is in the database."""
