# SPDX-License-Identifier: Apache-2.0
r"""Spent privacy budget, kept for ever: the one ledger of hub and agents.

An *entry* is one release (its id is a UUID). Its *lines* take integers of nano-rho
or nano-epsilon from accounts, all of them or none. An entry is first *reserved*; then
either *charged*, which is final, or *given back*. Limits come with every call, since
they stand in the signed agreement and may change; what was spent stands here, and
no operation takes any of it away.

Invariants, each of them tested over arbitrary histories:

- A granted reservation keeps every account within the limits that it named: over
  its lifetime, and within each sliding window. A window of length ``w`` counts
  whatever was reserved in ``(now - w, now]``, charged or not.
- A refusal changes nothing, and says how much is left.
- The same id with the same amounts is the same entry, however often it is sent; with
  other amounts it is a conflict. An entry that was given back stays so: a late
  duplicate of its reservation is a conflict, never a silent "yes".
- Time only goes forward: an earlier clock than the latest one seen counts as that one,
  so setting a clock back frees no budget.
- Every change is one row in ``ledger_event``, numbered 1, 2, 3... in the order of the
  commits and never changed. `height` is the newest number: whoever has seen a higher
  one than the database holds knows that the ledger was reset (`verify` checks the
  rest). What accounts hold is derived from those rows in the same transaction.

It must never see a count, a cell or a person. It has no clock, opens no database and
ends no transaction.

**The caller owns the transaction** and may do more in it: a hub turns the reservation
into a charge, stores the release and appends to its log in one. On SQLite it begins
with ``BEGIN IMMEDIATE``, with ``synchronous=FULL`` (`accord.ledger.sqlite` does both);
on PostgreSQL any isolation level is right (above READ COMMITTED the caller repeats
what fails to serialise). Every operation that writes first locks the one row of
``ledger_head``, so writers queue there and nothing deadlocks inside the ledger.
After an `AccordError` of ours the transaction may go on, since nothing was written;
after any other exception the caller must roll back.

**Many writers.** `reserve_all` serves all reservations that wait, in one transaction
and with as many statements as one of them takes: each is checked against what those
before it have taken. So one flush of the disk pays for all (group commit).

What if the process dies here?

==============================================  =============  =========================
place                                           found          after the restart
==============================================  =============  =========================
before the reservation is committed             nothing        ask again, same id
reservation committed, no agency has heard yet  ``reserved``   go on, or give it back
agencies are answering                          ``reserved``   go on; give it back only
                                                               if no answer can be
                                                               opened any more
inside {charge, release, log}                   ``reserved``   repeat all of it
that committed, the analyst has seen nothing    ``charged``    show the stored release
inside a give-back                              ``reserved``   repeat it
at a commit whose outcome is unknown            either side    repeat the call, same id
an old backup is restored                       lower height   release nothing;
                                                               `rebuild` what others
                                                               can prove
inside a rebuild                                as before      repeat it
==============================================  =============  =========================

Nothing is seen before it is charged, and nothing is charged twice: each row is safe.

Why adding up is enough. Which question comes next, and at what price, depends on
earlier releases, so plain composition does not apply; a *privacy filter* does. Each
release has a fixed bound before it runs; once granted it counts in full; a request
that would pass the cap is refused. For pure epsilon, stopping by the plain sum is a
valid filter (Rogers et al.). For zCDP: a release with ``rho`` has Rényi
divergence at most ``alpha * rho`` at every order ``alpha > 1``, whatever was
released before. At one order, adaptively chosen bounds whose sum never passes
``alpha * cap`` compose to ``alpha * cap`` (the Rényi filter, Feldman & Zrnic; Lécuyer);
``sum(rho) <= cap`` says so for all orders at once, hence the whole interaction is
``cap``-zCDP (Whitehouse et al. treat zCDP filters as such). Three conditions
follow, and they are the reason for the rules above: price and refusal depend on
public facts and past releases only; the loss counts before the mechanism runs; a
reservation is given back only when nobody has seen or can still see its result.
A sliding window is rationing by the same sum over a period; the guarantee towards
a person is the lifetime cap.

Source: Rogers, Roth, Ullman, Vadhan, "Privacy odometers and filters: pay-as-you-go
composition", NeurIPS 2016; Feldman, Zrnic, "Individual privacy accounting via a Rényi
filter", NeurIPS 2021; Lécuyer, "Practical privacy filters and odometers with Rényi
differential privacy", arXiv 2103.01379, 2021; Whitehouse, Ramdas, Rogers, Wu, "Fully
adaptive composition in differential privacy", ICML 2023 (arXiv 2203.05481); zCDP:
Bun, Steinke, TCC 2016.
"""

from accord.ledger.account import (
    LARGEST_TOTAL,
    Balance,
    Entry,
    Line,
    Posting,
    State,
    Unit,
    Window,
    WindowBalance,
)
from accord.ledger.history import balance, entries, entry, height, used_ever, verify
from accord.ledger.rebuilding import rebuild
from accord.ledger.reserving import reserve, reserve_all
from accord.ledger.schema import FORMAT, SCHEMA, check_schema, create_schema
from accord.ledger.settling import charge, give_back
from accord.ledger.transaction import Result, Transaction

__all__ = [
    "FORMAT",
    "LARGEST_TOTAL",
    "SCHEMA",
    "Balance",
    "Entry",
    "Line",
    "Posting",
    "Result",
    "State",
    "Transaction",
    "Unit",
    "Window",
    "WindowBalance",
    "balance",
    "charge",
    "check_schema",
    "create_schema",
    "entries",
    "entry",
    "give_back",
    "height",
    "rebuild",
    "reserve",
    "reserve_all",
    "used_ever",
    "verify",
]
