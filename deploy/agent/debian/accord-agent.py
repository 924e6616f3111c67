#!/usr/lib/accord-agent/bin/python3 -I
# SPDX-License-Identifier: Apache-2.0
"""The program of the Debian package."""

from accord.agent.cli import main

if __name__ == "__main__":
    main()
