# SPDX-License-Identifier: Apache-2.0
"""What the hub alone signs: that these policies are still the newest."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import Signature
from tuf.api.metadata import Metadata, MetaFile, Snapshot, Timestamp

from accord.core.canonical import bytes_digest
from accord.core.errors import AccordError, ConfigurationError
from accord.trust.keys import text_of
from accord.trust.metadata import (
    OWN,
    SNAPSHOT,
    TIMESTAMP,
    Kind,
    key_of,
    metadata_name,
    read_metadata,
    role_of,
)
from accord.trust.repository import Repository

LIFETIME: Final = datetime.timedelta(hours=24)
"""How long an agent believes that policies are the newest."""


def freshen(
    repository: Repository,
    key: Ed25519PrivateKey,
    *,
    now: datetime.datetime,
    previous: Mapping[str, bytes] | None = None,
    lifetime: datetime.timedelta = LIFETIME,
) -> dict[str, bytes]:
    """Return the snapshot and timestamp of a repository, by name.

    The snapshot follows from the repository alone: its version is the sum of all
    roles' versions, none of which ever falls. A timestamp's version is the time, in
    seconds since 1970, so that a hub restored from an old copy goes on without being
    taken for one that rolls back.

    Args:
        repository: what is published.
        key: the private half of ``hub.freshness`` in ``members.yaml``.
        now: the time.
        previous: the timestamp before, by its name; a newer one always follows it.
        lifetime: until when agents believe it.

    Raises:
        ConfigurationError: FRESHNESS_KEY_OTHER
    """
    state = repository.state
    keys, _ = role_of(state.root.signed, TIMESTAMP)
    if text_of(key) not in keys:
        raise ConfigurationError(
            "FRESHNESS_KEY_OTHER",
            "The signed policies name another freshness key than this hub has.",
        )
    newest = {
        f"{role}.json": _meta(
            metadata.signed.version,
            repository.files[metadata_name(role, metadata.signed.version)],
        )
        for role, metadata in state.roles()
        if role != "root"
    }
    version = repository.root_version + sum(each.version for each in newest.values())
    snapshot = _signed(
        Snapshot(version=version, expires=state.expires, meta=newest), key
    )
    number = max(int(now.timestamp()), timestamp_number(previous) + 1)
    timestamp = _signed(
        Timestamp(
            version=number,
            expires=now.astimezone(datetime.UTC) + lifetime,
            snapshot_meta=_meta(version, snapshot),
            unrecognized_fields={OWN: {"root": repository.root_version}},
        ),
        key,
    )
    return {
        metadata_name(SNAPSHOT, version): snapshot,
        metadata_name(TIMESTAMP): timestamp,
    }


def needs_freshening(
    timestamp: bytes,
    now: datetime.datetime,
    lifetime: datetime.timedelta = LIFETIME,
) -> bool:
    """Tell whether less than half of the timestamp's life is left."""
    signed = read_metadata(timestamp, Timestamp, TIMESTAMP).signed
    return signed.expires - now < lifetime / 2


def _meta(version: int, content: bytes) -> MetaFile:
    return MetaFile(version, len(content), {"sha256": bytes_digest(content)})


def timestamp_number(fresh: Mapping[str, bytes] | None) -> int:
    """Return the number of a timestamp, by its name; 0 where there is none."""
    content = (fresh or {}).get(metadata_name(TIMESTAMP))
    if content is None:
        return 0
    try:
        return read_metadata(content, Timestamp, TIMESTAMP).signed.version
    except AccordError:
        return 0


def _signed(signed: Kind, key: Ed25519PrivateKey) -> bytes:
    metadata = Metadata[Kind](signed)
    key_id = key_of(text_of(key)).keyid
    signature = key.sign(metadata.signed_bytes).hex()
    metadata.signatures[key_id] = Signature(key_id, signature)
    return metadata.to_bytes()
