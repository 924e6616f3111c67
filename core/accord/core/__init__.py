# SPDX-License-Identifier: Apache-2.0
"""The pure domain: no network, no database, no files, no clock, no randomness.

What agencies and analysts may say is in `model`, `query` and `agreement`; what is
allowed in `decide`; what an answer looks like and what one person can change in it in
`layout`, `measure` and `terms`; what that costs in `privacy` and `interval`.
"""
