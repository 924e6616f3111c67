# SPDX-License-Identifier: Apache-2.0
"""An append-only log as a Merkle tree: what it promises, and what proves it.

Every entry is a leaf. The *root* stands for all entries and their order, so who has
kept one root notices when anything before it is edited, dropped, put elsewhere or cut
off: no log with that change has the root, nor a proof that it grew from it.

- `accord.merkle.tree`: hashes, and proofs by whoever has the log.
- `accord.merkle.proofs`: checks of those proofs by whoever has a root only.
- `accord.merkle.heads`: what the log's owner signs of a root, and what witnesses sign.

Source: RFC 6962, section 2.1 (hashes, paths and proofs of consistency), and RFC 9162,
section 2.1.3-2.1.4 (how they are checked). Nothing here knows files, databases or time.
"""
