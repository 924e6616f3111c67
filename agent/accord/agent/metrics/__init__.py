# SPDX-License-Identifier: Apache-2.0
"""How an agent is, in figures for the monitoring of its own machine.

The library that this needs comes with an extra; whoever imports a module of this
package does so when figures are asked for.
"""
