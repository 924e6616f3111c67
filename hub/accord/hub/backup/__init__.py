# SPDX-License-Identifier: Apache-2.0
"""One file that has all of a hub, from one moment, and a hub that is made from it.

The file is a ZIP: ``manifest.json``, each table as ``tables/NAME.jsonl`` (one row a
line, bytes in base64), and settings, policies and, where that is wanted, keys below
``files/``. It depends on no kind of database. Its manifest has a SHA-256 of every part,
and where ledger and log stood, which the restored hub is held against.

A hub that was restored doubts its ledger (`accord.hub.contact`), however new the copy
is: it may lack charges, and only agencies know.
"""
