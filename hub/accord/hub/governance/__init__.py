# SPDX-License-Identifier: Apache-2.0
"""What boards signed: offered, published, kept fresh, and in force.

What if the process dies here?

=====================================  ================================================
place                                  afterwards
=====================================  ================================================
before `proposals.publish` commits     the proposal waits as before; nothing changed
after it, before the files are saved   the database says that the change is published;
                                       whoever looks next writes the files (`Standing`)
while files are written                the same: they count once ``timestamp.json`` is
                                       there, which comes last
after it, before agents are told       agents hear of the version when they connect, and
                                       refresh by themselves before they answer
while freshness is signed anew         the older timestamp still holds
=====================================  ================================================
"""
