# SPDX-License-Identifier: Apache-2.0
"""What an audit of one round will need, as it is kept until then.

Sealed: the seeds and keys with which this agency made its masked vector, and what every
member signed in the first round, without which nobody could say what the transcript of
the receipt stands for. In the clear: the signed documents under which it was asked,
each stored once however many rounds name it, so that counts and noise can be computed
again after the agreement has changed.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from accord.agent.rounds.rows import forget_record
from accord.core.canonical import bytes_digest
from accord.core.errors import IntegrityError
from accord.core.policy import AGREEMENTS, EMERGENCIES, MEMBERS, MODELS, PRESETS, Policy
from accord.ledger.transaction import Transaction
from accord.secagg.messages import Ready


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is sealed."""

    noise_seed: bytes = dataclasses.field(repr=False)
    salt: bytes = dataclasses.field(repr=False)
    self_seed: bytes = dataclasses.field(repr=False)
    pair_keys: Mapping[str, bytes] = dataclasses.field(repr=False)
    readies: Sequence[Ready]
    """Those of the whole cohort, in the order of labels."""

    def to_bytes(self) -> bytes:
        """Return the content to seal."""
        return json.dumps(
            {
                "noise_seed": self.noise_seed.hex(),
                "salt": self.salt.hex(),
                "self_seed": self.self_seed.hex(),
                "pair_keys": {
                    label: key.hex() for label, key in sorted(self.pair_keys.items())
                },
                "readies": [
                    {
                        "agency": each.agency,
                        "spec_digest": each.spec_digest.hex(),
                        "attempt": each.attempt,
                        "ephemeral_key": each.ephemeral_key.hex(),
                        "signature": each.signature.hex(),
                    }
                    for each in self.readies
                ],
            }
        ).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Record:
        """Read what `to_bytes` wrote.

        Raises:
            IntegrityError: AUDIT_RECORD_BROKEN
        """
        try:
            found = json.loads(content)
            return cls(
                noise_seed=bytes.fromhex(found["noise_seed"]),
                salt=bytes.fromhex(found["salt"]),
                self_seed=bytes.fromhex(found["self_seed"]),
                pair_keys={
                    label: bytes.fromhex(key)
                    for label, key in found["pair_keys"].items()
                },
                readies=tuple(_ready(each) for each in found["readies"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise broken() from None


def _ready(found: Mapping[str, Any]) -> Ready:
    return Ready(
        agency=str(found["agency"]),
        spec_digest=bytes.fromhex(found["spec_digest"]),
        attempt=int(found["attempt"]),
        ephemeral_key=bytes.fromhex(found["ephemeral_key"]),
        signature=bytes.fromhex(found["signature"]),
    )


def broken() -> IntegrityError:
    """Return what to say of a record that contradicts itself."""
    return IntegrityError(
        "AUDIT_RECORD_BROKEN",
        "The record of this round is not as the agent wrote it: somebody changed the"
        " database by other means, or it is damaged.",
    )


def documents_of(policy: Policy, documents: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the documents that one agreement is made of, by path.

    Args:
        policy: the agreement.
        documents: all that this agency holds.
    """
    agreement = policy.agreement
    wanted = [
        MEMBERS,
        f"{MODELS}/{agreement.form.data_model}.yaml",
        f"{AGREEMENTS}/{agreement.name}.yaml",
    ]
    if agreement.preset is not None:
        wanted.append(f"{PRESETS}/{agreement.preset.name}.yaml")
    if policy.emergency is not None:
        wanted.append(f"{EMERGENCIES}/{agreement.name}.yaml")
    return {path: documents[path] for path in wanted}


def put_record(
    tx: Transaction, query_id: str, sealed: bytes, documents: Mapping[str, bytes]
) -> None:
    """Keep the record of a round, in the transaction that masks it."""
    forget_record(tx, query_id)
    tx.execute(
        "INSERT INTO audit_record (query_id, sealed) VALUES (:query_id, :sealed)",
        {"query_id": query_id, "sealed": sealed},
    )
    for path, content in documents.items():
        digest = bytes_digest(content)
        tx.execute(
            "INSERT INTO document (digest, content) VALUES (:digest, :content)"
            " ON CONFLICT (digest) DO NOTHING",
            {"digest": digest, "content": content},
        )
        tx.execute(
            "INSERT INTO audit_document (query_id, path, digest)"
            " VALUES (:query_id, :path, :digest)",
            {"query_id": query_id, "path": path, "digest": digest},
        )


def find_record(
    tx: Transaction, query_id: str
) -> tuple[bytes, dict[str, bytes]] | None:
    """Return the sealed record of a round and its documents, while they are kept."""
    sealed = tx.execute(
        "SELECT sealed FROM audit_record WHERE query_id = :query_id",
        {"query_id": query_id},
    ).fetchall()
    if not sealed:
        return None
    documents = tx.execute(
        "SELECT a.path, d.content FROM audit_document a"
        " JOIN document d ON d.digest = a.digest WHERE a.query_id = :query_id",
        {"query_id": query_id},
    ).fetchall()
    return bytes(sealed[0][0]), {path: bytes(content) for path, content in documents}
