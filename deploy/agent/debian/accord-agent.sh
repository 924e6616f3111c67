#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The state is the service's, and belongs to its user: root becomes that user.
if [ "$(id -u)" = 0 ]; then
    exec runuser -u accord-agent -- "$0" "$@"
fi
export ACCORD_AGENT_STATE="${ACCORD_AGENT_STATE:-/var/lib/accord-agent}"
exec /usr/lib/accord-agent/bin/accord-agent "$@"
