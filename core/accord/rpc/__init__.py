# SPDX-License-Identifier: Apache-2.0
"""Where the domain meets the network: messages, errors, identity, TLS."""
