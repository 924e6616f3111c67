# SPDX-License-Identifier: Apache-2.0
"""Questions in SQL: one SELECT, read into the same question as any other.

`translate` in `accord.client.sql.translation` is where it begins; sqlglot parses and is
loaded only then. What is not expressly read is refused, with its place and a way out.
"""
