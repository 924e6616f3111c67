# SPDX-License-Identifier: Apache-2.0
"""``python -m accord.hub.cli``."""

from accord.hub.cli import main

if __name__ == "__main__":
    main()
