# SPDX-License-Identifier: Apache-2.0
"""Several processes that serve one PostgreSQL: who owns which round, who reaches whom.

A *replica* is one run of ``accord-hub serve``. It is alive as long as its session holds
an advisory lock; PostgreSQL ends the session of one that is silent. A round belongs to
one replica at a time, which its row says. Whoever finds a dead replica deletes its row
and takes rounds of its, and goes on with them as a restarted hub does.

What if a replica dies here?

===============================  ======================================================
place                            afterwards
===============================  ======================================================
before a question is admitted    nothing happened; the client repeats the id anywhere
after it                         another replica claims the round and asks the agencies
in rounds 1 and 2                what was written behind is there; the rest is asked
                                 again, as after a restart
inside an opening, a release     as before it, or as after it; the next owner reads
or an end                        which in the round's row
between seeds and the release    agencies give the same seeds again; nobody has seen the
                                 noise that was drawn
while it only held streams       agents connect to others; owners ask them once more
===============================  ======================================================

A replica that others took for dead, and that goes on (a *zombie*), cannot write about
any round: each of its transactions asks first whether its own row is still there. It
then begins anew, as a new replica with nothing in memory.
"""
