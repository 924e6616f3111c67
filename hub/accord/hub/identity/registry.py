# SPDX-License-Identifier: Apache-2.0
"""Who may connect: enrolment tokens, agents' certificates, analysts; and who was seen.

Secrets are stored as SHA-256 only. To revoke an agency is to revoke all its
certificates and unused tokens; a new token lets it in again. An analyst's account of
spent budget belongs to the name and outlives its tokens.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from accord.core.calendar import Period
from accord.core.decide import Analyst
from accord.core.errors import Conflict, NotFound, Unauthenticated
from accord.hub.audit import Event, note
from accord.hub.db.engine import microseconds, moment
from accord.hub.db.tables import (
    ANALYSTS,
    CERTIFICATES,
    EDITIONS,
    SIGHTINGS,
    TOKENS,
)
from accord.rpc.codec import HeldEdition


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """When an agent last said hello."""

    agency: str
    at: dt.datetime
    agent_version: str
    ledger_height: int
    state_sequence: int
    """Steps that the agent's state has taken in rounds; the highest ever heard."""


def create_token(
    tx: sa.Connection,
    agency: str,
    secret_digest: str,
    *,
    now: dt.datetime,
    expires_at: dt.datetime,
) -> str:
    """Remember an enrolment token by its digest; return the id that lists show."""
    token = str(uuid.uuid4())
    tx.execute(
        TOKENS.insert(),
        {
            "id": token,
            "agency": agency,
            "secret_digest": secret_digest,
            "created_at": microseconds(now),
            "expires_at": microseconds(expires_at),
        },
    )
    note(tx, Event.TOKEN_CREATED, now, agency=agency, token=token)
    return token


def revoke_token(tx: sa.Connection, token: str, *, now: dt.datetime) -> None:
    """End an unused token.

    Raises:
        NotFound: TOKEN_UNKNOWN, no unused token has this id.
    """
    ended = tx.execute(
        TOKENS.update()
        .where(
            TOKENS.c.id == token,
            TOKENS.c.revoked_at.is_(None),
            TOKENS.c.used_at.is_(None),
        )
        .values(revoked_at=microseconds(now))
    )
    if ended.rowcount != 1:
        raise NotFound(
            "TOKEN_UNKNOWN",
            f"There is no unused token {token!r}; `accord-hub token list` shows them.",
        )
    note(tx, Event.TOKEN_REVOKED, now, token=token)


def use_token(
    tx: sa.Connection, secret_digest: str, key_digest: str, *, now: dt.datetime
) -> str:
    """Trade a token for an agency's name, once, or again for the same public key.

    The second case is an agent whose first answer got lost on the way.

    Raises:
        Unauthenticated: TOKEN_UNKNOWN, TOKEN_REVOKED, TOKEN_EXPIRED, TOKEN_USED.
    """
    row = tx.execute(
        sa.select(TOKENS).where(TOKENS.c.secret_digest == secret_digest)
    ).one_or_none()
    if row is None:
        raise Unauthenticated(
            "TOKEN_UNKNOWN",
            "The hub does not know this enrolment token: ask its operator for a new"
            " one.",
        )
    if row.revoked_at is not None:
        raise Unauthenticated(
            "TOKEN_REVOKED",
            "This enrolment token was revoked: ask the hub's operator for a new one.",
        )
    if microseconds(now) >= row.expires_at:
        raise Unauthenticated(
            "TOKEN_EXPIRED",
            "This enrolment token has expired: ask the hub's operator for a new one.",
        )
    if row.used_at is not None and row.used_by_key != key_digest:
        raise Unauthenticated(
            "TOKEN_USED",
            "This enrolment token was used before, and works only once: ask the hub's"
            " operator for a new one, and whether somebody else used it.",
        )
    if row.used_at is None:
        tx.execute(
            TOKENS.update()
            .where(TOKENS.c.id == row.id)
            .values(used_at=microseconds(now), used_by_key=key_digest)
        )
    return str(row.agency)


def tokens(tx: sa.Connection) -> Sequence[sa.Row[tuple[object, ...]]]:
    """Return all enrolment tokens, oldest first."""
    return tx.execute(sa.select(TOKENS).order_by(TOKENS.c.created_at)).all()


def record_certificate(
    tx: sa.Connection,
    agency: str,
    serial: str,
    *,
    agency_key: str,
    now: dt.datetime,
    expires_at: dt.datetime,
    renewed: bool,
) -> None:
    """Remember a certificate that was issued, and for whose listed key."""
    tx.execute(
        CERTIFICATES.insert(),
        {
            "serial": serial,
            "agency": agency,
            "agency_key": agency_key,
            "issued_at": microseconds(now),
            "expires_at": microseconds(expires_at),
        },
    )
    event = Event.CERTIFICATE_RENEWED if renewed else Event.AGENCY_ENROLLED
    note(tx, event, now, agency=agency, serial=serial)


def valid_among(
    tx: sa.Connection, held: Iterable[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Return which of these (agency, serial) were issued here and not revoked."""
    return set(keys_of(tx, held))


def keys_of(
    tx: sa.Connection, held: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """Return the agencies' keys of those that were issued here and not revoked."""
    wanted = set(held)
    rows = tx.execute(
        sa.select(CERTIFICATES).where(
            CERTIFICATES.c.serial.in_(sorted(serial for _, serial in wanted)),
            CERTIFICATES.c.revoked_at.is_(None),
        )
    )
    found = {(row.agency, row.serial): row.agency_key for row in rows}
    return {place: found[place] for place in wanted & found.keys()}


def revoke_agency(tx: sa.Connection, agency: str, *, now: dt.datetime) -> int:
    """End every certificate and unused token of an agency; return how many.

    Raises:
        NotFound: AGENCY_NOT_ENROLLED, there was nothing to end.
    """
    at = microseconds(now)
    certificates = tx.execute(
        CERTIFICATES.update()
        .where(
            CERTIFICATES.c.agency == agency,
            CERTIFICATES.c.revoked_at.is_(None),
            CERTIFICATES.c.expires_at > at,
        )
        .values(revoked_at=at)
    ).rowcount
    unused = tx.execute(
        TOKENS.update()
        .where(
            TOKENS.c.agency == agency,
            TOKENS.c.revoked_at.is_(None),
            TOKENS.c.expires_at > at,
        )
        .values(revoked_at=at)
    ).rowcount
    if not certificates + unused:
        raise NotFound(
            "AGENCY_NOT_ENROLLED",
            f"The agency {agency!r} has no valid certificate and no unused token.",
            agency=agency,
        )
    note(tx, Event.AGENCY_REVOKED, now, agency=agency)
    return int(certificates + unused)


def certificates(tx: sa.Connection) -> dict[str, list[sa.Row[tuple[object, ...]]]]:
    """Return all certificates by agency, oldest first."""
    found: dict[str, list[sa.Row[tuple[object, ...]]]] = {}
    chosen = sa.select(CERTIFICATES).order_by(CERTIFICATES.c.issued_at)
    for row in tx.execute(chosen).all():
        found.setdefault(row.agency, []).append(row)
    return found


def add_analyst(
    tx: sa.Connection, analyst: Analyst, secret_digest: str, *, now: dt.datetime
) -> None:
    """Let an analyst in; one who was revoked comes back with a new token.

    Raises:
        Conflict: ANALYST_EXISTS.
    """
    known = tx.execute(
        sa.select(ANALYSTS.c.revoked_at).where(ANALYSTS.c.id == analyst.id)
    ).one_or_none()
    if known is not None and known.revoked_at is None:
        raise Conflict(
            "ANALYST_EXISTS",
            f"There is an analyst {analyst.id!r} already; revoke that one first to"
            " give out a new token.",
            analyst=analyst.id,
        )
    values = {
        "organisation": analyst.organisation,
        "roles": sorted(analyst.roles),
        "secret_digest": secret_digest,
        "created_at": microseconds(now),
        "revoked_at": None,
    }
    if known is None:
        tx.execute(ANALYSTS.insert(), {"id": analyst.id, **values})
    else:
        again = ANALYSTS.update().where(ANALYSTS.c.id == analyst.id)
        tx.execute(again.values(**values))
    note(
        tx,
        Event.ANALYST_ADDED,
        now,
        analyst=analyst.id,
        organisation=analyst.organisation,
        roles=sorted(analyst.roles),
    )


def revoke_analyst(tx: sa.Connection, analyst: str, *, now: dt.datetime) -> None:
    """End an analyst's token.

    Raises:
        NotFound: ANALYST_UNKNOWN.
    """
    ended = tx.execute(
        ANALYSTS.update()
        .where(ANALYSTS.c.id == analyst, ANALYSTS.c.revoked_at.is_(None))
        .values(revoked_at=microseconds(now))
    )
    if ended.rowcount != 1:
        raise NotFound(
            "ANALYST_UNKNOWN",
            f"There is no analyst {analyst!r} with a valid token;"
            " `accord-hub analyst list` shows them.",
            analyst=analyst,
        )
    note(tx, Event.ANALYST_REVOKED, now, analyst=analyst)


def analysts(tx: sa.Connection) -> Sequence[sa.Row[tuple[object, ...]]]:
    """Return all analysts by name."""
    return tx.execute(sa.select(ANALYSTS).order_by(ANALYSTS.c.id)).all()


def authenticate(tx: sa.Connection, secret_digest: str) -> Analyst:
    """Return whose token this is.

    Raises:
        Unauthenticated: TOKEN_UNKNOWN.
    """
    row = tx.execute(
        sa.select(ANALYSTS).where(
            ANALYSTS.c.secret_digest == secret_digest, ANALYSTS.c.revoked_at.is_(None)
        )
    ).one_or_none()
    if row is None:
        raise Unauthenticated(
            "TOKEN_UNKNOWN",
            "The hub does not know this token, or it was revoked: ask the hub's"
            " operator for a new one.",
        )
    return Analyst(id=row.id, organisation=row.organisation, roles=frozenset(row.roles))


def record_sighting(tx: sa.Connection, sighting: Sighting) -> int:
    """Remember when an agent was last seen and what it said.

    Returns:
        The highest sequence that was ever heard from it, this time included.
    """
    own = SIGHTINGS.c.agency == sighting.agency
    before = tx.execute(sa.select(SIGHTINGS.c.state_sequence).where(own)).scalar()
    highest = max(sighting.state_sequence, before or 0)
    tx.execute(SIGHTINGS.delete().where(own))
    values = dataclasses.asdict(sighting)
    values |= {"at": microseconds(sighting.at), "state_sequence": highest}
    tx.execute(SIGHTINGS.insert(), values)
    return highest


def sightings(tx: sa.Connection) -> dict[str, Sighting]:
    """Return when each agent was last seen."""
    return {
        row.agency: Sighting(
            agency=row.agency,
            at=moment(row.at),
            agent_version=row.agent_version,
            ledger_height=row.ledger_height,
            state_sequence=row.state_sequence,
        )
        for row in tx.execute(sa.select(SIGHTINGS)).all()
    }


def record_editions(
    tx: sa.Connection, agency: str, announced: Iterable[HeldEdition]
) -> None:
    """Replace what an agency said it can answer from."""
    tx.execute(EDITIONS.delete().where(EDITIONS.c.agency == agency))
    rows = {
        (each.every, each.embargo_days, each.name): {
            "agency": agency,
            **dataclasses.asdict(each),
        }
        for each in announced
    }
    if rows:
        tx.execute(EDITIONS.insert(), list(rows.values()))


def editions(
    tx: sa.Connection, agencies: Iterable[str]
) -> dict[str, frozenset[HeldEdition]]:
    """Return what each of the agencies can answer from; nothing for an unknown one."""
    wanted = sorted(agencies)
    found: dict[str, set[HeldEdition]] = {agency: set() for agency in wanted}
    chosen = sa.select(EDITIONS).where(EDITIONS.c.agency.in_(wanted))
    for row in tx.execute(chosen):
        found[row.agency].add(
            HeldEdition(
                every=Period(row.every),
                embargo_days=row.embargo_days,
                name=row.name,
                data_model=row.data_model,
                data_model_digest=row.data_model_digest,
            )
        )
    return {agency: frozenset(names) for agency, names in found.items()}
