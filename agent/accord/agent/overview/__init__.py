# SPDX-License-Identifier: Apache-2.0
"""The agent at one glance, in a browser on its own machine; staff decides there too."""
