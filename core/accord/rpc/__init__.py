# SPDX-License-Identifier: Apache-2.0
"""Where the domain meets the network: messages, errors, identity, TLS."""

import os

# gRPC's core writes past every logger, in lines without a closed list of keys: anybody
# who knocks could fill a log. It reads this when it is imported, which is after here.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
