# SPDX-License-Identifier: Apache-2.0
"""``python -m accord.agent.cli``."""

from accord.agent.cli import main

if __name__ == "__main__":
    main()
