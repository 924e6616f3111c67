# SPDX-License-Identifier: Apache-2.0
"""The transactions in which budget moves: admit, publish, fail.

What if the process dies here?

==========================  ===========================================================
place                       afterwards
==========================  ===========================================================
before `admit` commits      nothing happened; the client sends the same id again
after it                    the submission waits in the database; agencies are asked
                            at the next start, with the same signed bytes
between answers and         the answers are gone; agencies are asked again and answer
`publish`                   the same; nobody has seen the noise that was drawn
inside `publish`            as before it, or as after it
after it                    charged, stored and noted; the client asks for its
                            submission and reads the release
inside `fail`               as before it, or as after it
==========================  ===========================================================
"""
