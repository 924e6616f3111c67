# SPDX-License-Identifier: Apache-2.0
"""A proposal as one JSON file: everything that a signer needs, and nothing to trust.

::

    {"format": "accord.proposal.v1",
     "base": {"metadata": {name: text}, "documents": {path: digest}} or null,
     "metadata": {name: text}, "documents": {path: digest},
     "texts": {digest: text}}
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Final, Literal

import pydantic
from tuf.api.metadata import Root, Targets

from accord.core.canonical import bytes_digest, canonical_bytes
from accord.core.errors import AccordError, InvalidQuery
from accord.core.policy import is_policy_path
from accord.trust.documents import read_policies
from accord.trust.drafting import Occasion, draft
from accord.trust.metadata import (
    MOST_COMMENT,
    ROOT,
    document_name,
    key_of,
    malformed,
    metadata_name,
    read_metadata,
    signers,
)
from accord.trust.proposal import Proposal
from accord.trust.repository import Repository
from accord.trust.state import AnyMetadata

LARGEST_FILE: Final = 3_000_000
"""Bytes; what a hub takes in one message."""

FORMAT: Final = "accord.proposal.v1"


class _Base(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    metadata: dict[str, str]
    documents: dict[str, str]


class _File(_Base):
    format: Literal["accord.proposal.v1"]
    base: _Base | None
    texts: dict[str, str]


def to_file(proposal: Proposal) -> bytes:
    """Return a proposal as one file, the same for the same signatures.

    Raises:
        InvalidQuery: PROPOSAL_TOO_LARGE
    """
    base = proposal.base
    before = proposal.before
    texts = {bytes_digest(each): each.decode() for each in before.values()}
    texts |= {bytes_digest(each): each.decode() for each in proposal.after.values()}
    content = canonical_bytes(
        {
            "format": FORMAT,
            "base": None
            if base is None
            else {
                "metadata": _texts(base.files, "metadata/"),
                "documents": {
                    path: bytes_digest(each) for path, each in before.items()
                },
            },
            "metadata": _texts(proposal.files(), "metadata/"),
            "documents": {
                path: bytes_digest(each) for path, each in proposal.after.items()
            },
            "texts": texts,
        }
    )
    _check_length(content)
    return content


def from_file(content: bytes, source: str) -> Proposal:
    """Read a file, make again what it says, and check every signature in it.

    Nothing tells whether its base is what is in force: compare with
    `Proposal.is_onto`.

    Raises:
        InvalidQuery: PROPOSAL_MALFORMED, PROPOSAL_TOO_LARGE
    """
    _check_length(content)
    try:
        file = _File.model_validate_json(content)
    except pydantic.ValidationError:
        raise _unusable(source, "It is not a file that Accord made.") from None
    try:
        return _read(file)
    except AccordError as error:
        first, *_ = error.sentence.splitlines() or [""]
        raise _unusable(source, first[:300]) from None


def _read(file: _File) -> Proposal:
    documents = _documents(file.documents, file.texts)
    base = None if file.base is None else _base(file.base, file.texts)
    metadata: dict[str, AnyMetadata] = {}
    for name, text in file.metadata.items():
        role = name.removesuffix(".json").rpartition(".")[2]
        found: AnyMetadata = (
            read_metadata(text.encode(), Root, role)
            if role == ROOT
            else read_metadata(text.encode(), Targets, role)
        )
        if name != metadata_name(role, found.signed.version):
            raise malformed(role, "has another version than its name")
        metadata[role] = found
    if not metadata:
        raise malformed("metadata", "is missing")
    proposal = Proposal(base=base, after=documents, metadata=metadata)
    _check_made_again(proposal)
    _check_signatures(proposal)
    return proposal


def _check_made_again(proposal: Proposal) -> None:
    """Make the same proposal from its documents, and compare all that is signed.

    Raises:
        AccordError: it would come out otherwise.
    """
    expires = {each.signed.expires for each in proposal.metadata.values()}
    comment = proposal.comment
    if len(expires) > 1 or len(comment) > MOST_COMMENT or not comment.isprintable():
        raise malformed("metadata", "does not have one expiry and one line of comment")
    occasion = Occasion(
        comment=comment,
        expires=expires.pop().astimezone(datetime.UTC),
        renew=frozenset(proposal.metadata),
    )
    state = proposal.base.state if proposal.base else None
    drafted = draft(state, read_policies(proposal.after), occasion)
    again = {role: AnyMetadata(signed).signed_bytes for role, signed in drafted.items()}
    if again != {role: each.signed_bytes for role, each in proposal.metadata.items()}:
        raise malformed("metadata", "says otherwise than its documents")


def _check_signatures(proposal: Proposal) -> None:
    for role, metadata in proposal.metadata.items():
        people = proposal.may_sign(role)
        ids = {key_of(each).keyid for each in signers(metadata, people)}
        if ids != set(metadata.signatures):
            raise malformed(role, "has a signature that does not hold or count")
        for key_id, each in metadata.signatures.items():
            if each.to_dict() != {"keyid": key_id, "sig": each.signature.lower()}:
                raise malformed(role, "has a signature with more than a signature")
        if metadata.unrecognized_fields:
            raise malformed(role, "has entries that nobody signed")


def _base(file: _Base, texts: Mapping[str, str]) -> Repository:
    documents = _documents(file.documents, texts)
    base = Repository(
        {name: text.encode() for name, text in file.metadata.items()}
        | {
            document_name(path, bytes_digest(each)): each
            for path, each in documents.items()
        }
    )
    base.verify()
    if base.documents() != documents or set(base.newest_only().files) != set(
        base.files
    ):
        raise malformed("base", "holds more or less than what is in force")
    return base


def _documents(
    digests: Mapping[str, str], texts: Mapping[str, str]
) -> dict[str, bytes]:
    found = {}
    for path, digest in digests.items():
        text = texts.get(digest)
        content = None if text is None else text.encode()
        if content is None or bytes_digest(content) != digest:
            raise malformed(path[:100], "is not the document that its digest names")
        if not is_policy_path(path):
            raise malformed(path[:100], "is no policy")
        found[path] = content
    return found


def _texts(files: Mapping[str, bytes], prefix: str) -> dict[str, str]:
    return {
        name: content.decode()
        for name, content in files.items()
        if name.startswith(prefix)
    }


def _check_length(content: bytes) -> None:
    if len(content) > LARGEST_FILE:
        raise InvalidQuery(
            "PROPOSAL_TOO_LARGE",
            f"A proposal has at most {LARGEST_FILE} bytes; this one has"
            f" {len(content)}. Propose the changes one after another.",
        )


def _unusable(source: str, why: str) -> InvalidQuery:
    return InvalidQuery("PROPOSAL_MALFORMED", f"{source} is no usable proposal. {why}")
