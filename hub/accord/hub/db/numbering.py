# SPDX-License-Identifier: Apache-2.0
"""Count on where rows end that were put in with their numbers.

SQLite does so by itself. PostgreSQL counts apart from the rows.
"""

from __future__ import annotations

import sqlalchemy as sa


def count_on(connection: sa.Connection, table: sa.Table) -> None:
    """Let the next row of a table that counts its rows have the next number."""
    counter = table.autoincrement_column
    if counter is None or connection.dialect.name != "postgresql":
        return
    highest = connection.execute(sa.select(sa.func.max(counter))).scalar()
    if highest is not None:
        sequence = sa.func.pg_get_serial_sequence(table.name, counter.name)
        connection.execute(sa.select(sa.func.setval(sequence, highest)))
