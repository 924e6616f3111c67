# SPDX-License-Identifier: Apache-2.0
"""The transactions in which budget moves: admit, commit the opening, publish, fail.

Where reviewers look first, `publish` holds the release and `review.decide` ends it.

What if the process dies here?

=============================  ========================================================
place                          afterwards
=============================  ========================================================
before `admit` commits         nothing happened; the client sends the same id again
after it                       the submission waits in the database; agencies are asked
                               at the next start, with the same signed bytes
in rounds 1 and 2              what was written behind is there; for the rest agencies
                               are asked again and answer the same, or, where hub and
                               agency now remember different things, another attempt
                               begins; nothing can be opened, so nothing is owed
inside `commit_opening`        as before it, or as after it; nobody was asked for a seed
after it                       agencies are asked for their seeds; from here on the
                               question costs something, whether it is released or not
between seeds and `publish`    the seeds are gone; agencies give the same ones again;
                               nobody has seen the noise that was drawn
inside `publish`               as before it, or as after it
after it                       charged, stored and noted; the client asks for its
                               submission and reads the release, or sees that it is
                               held for a reviewer
inside `review.decide`         as before it, or as after it; a reviewer who got no
                               answer decides again, which changes nothing more
inside `fail` or `cancel`      as before it, or as after it
=============================  ========================================================

A reservation becomes a charge exactly once: in `publish`, or in `fail` after an opening
was committed, unless every member of the cohort has signed that it erased its seed.
Before the opening, `fail` gives it back. Where a fallback cohort is opened,
`commit_opening` replaces the reservation by that of its members alone. What reviewers
decide moves no budget.
"""
