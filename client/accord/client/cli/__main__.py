# SPDX-License-Identifier: Apache-2.0
"""``python -m accord.client.cli``."""

from accord.client.cli import main

if __name__ == "__main__":
    main()
