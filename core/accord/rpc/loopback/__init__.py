# SPDX-License-Identifier: Apache-2.0
"""Pages that a program serves to one browser on its own machine.

The libraries that this needs come with the extras of the programs that have a page;
whoever imports a module of this package does so when a page is asked for.
"""
