# SPDX-License-Identifier: Apache-2.0
"""The demo: a hub and five invented agencies on this machine, asked four questions."""
