# SPDX-License-Identifier: Apache-2.0
"""Who may talk to the hub: agencies, analysts, tokens, certificates."""
