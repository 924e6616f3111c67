# SPDX-License-Identifier: Apache-2.0
"""Ledgers of hub and agencies compare notes: nobody's may forget what was spent.

The hub commits an opening, with the budget of every member of the cohort, before any
agency gives a seed away; an agency charges in the transaction in which it does. So at
every moment

    what the hub has charged, or holds for openings   >=   what the agency can prove
    that are committed, of the agency's account            that it charged,

and the hub's pair (epoch, height of its ledger) is never below one that an agency has
seen in the hub's log. Both sides say their numbers at every contact. Where one is
larger than it can be, the hub's database is an old copy, and it *doubts* its ledger
(`standing`): it admits, opens and publishes nothing, keeps its streams, and asks every
agency for the charges that it can prove (`records`). Only the operator ends a doubt
(`reconcile`), which rebuilds what is missing in one transaction.

What if the process dies here?

=============================  ========================================================
place                          afterwards
=============================  ========================================================
before a doubt is committed    the agency says the same at its next contact
while agencies report          what was committed is there; who had not said that it
                               was complete is asked again
inside `reconcile.apply`       nothing was rebuilt, and the doubt stands; repeat it
after it                       the ledger is whole again, with a higher epoch
another old copy is restored   a new doubt begins: reports for an older one do not count
=============================  ========================================================

One member of a cohort is enough to prove a charge for all of it, since all of them were
opened together. An agency can claim at most what this hub has signed for it: the worst
of its lies is that a question which was masked, and never opened, was opened. It costs
budget and gives nobody anything; `accord-hub ledger reconcile` shows who says so.
"""
