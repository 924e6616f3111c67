# SPDX-License-Identifier: Apache-2.0
r"""Secure aggregation: agencies' vectors are masked so that only their sum can be read.

*Pairwise masks with a withheld self mask*, modulo 2^64, in three short rounds:

1. **Ready.** Each member of the cohort signs a fresh X25519 key for this query and
   attempt (`make_ready`). All readies, in order, are the *transcript*.
2. **Masked.** Member *i* sends ``y_i = x_i + e_i + stream(B_i) ± Σ stream(K_ij)`` and a
   signed *receipt*: what it saw (the transcript) and hashes of what it sends
   (`make_masked`). ``x`` are its counts, ``e`` its share of the noise.
3. **Reveal.** It gives away the 32 bytes behind ``B_i`` only after it has seen receipts
   of every member with its own transcript (`check_receipts`). The hub adds up, and all
   ``K_ij`` cancel (`open_sum`).

What this package promises, each promise with a test:

- Without the seed of every honest member, all that the hub has is uniform over the
  whole range of 64 bits, whatever was counted.
- A hub that works together with all members but two learns the sum of those two.
- Keys are taken from the member list that the board signed, never from the hub; what a
  member says is signed with its listed key; there is nothing to negotiate.
- Long-lived keys that are stolen later open no earlier sum: the X25519 keys of round 1
  are gone. Where both members list an ML-KEM key, a quantum computer opens none either.
- Whatever arrives, the answer is a result or an `AccordError`, nothing else.

What its callers have to keep, since nothing here has a memory: an agent reveals at most
one seed of a query id, erases the seed of an attempt before it signs the `Ready` of a
later one, and commits both to disk before it answers; it sends the same bytes to the
same transcript and none to another of that attempt. The noise share is sized from the
member list of the signed agreement. Those rules make a claimed drop-out worthless.

Not covered: a member can add any numbers to the sum, and a member that falls silent
after round 1 costs the others an attempt.

Sources: Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine
Learning", CCS 2017, for the pairwise masks; the withheld self mask replaces their
secret sharing. RFC 8032 (Ed25519), RFC 7748 (X25519), RFC 5869 (HKDF), FIPS 203
(ML-KEM), SP 800-38A (AES in counter mode).
"""
