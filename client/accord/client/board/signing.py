# SPDX-License-Identifier: Apache-2.0
"""The page of one proposal: read it, try it, sign it, put it in force."""

from __future__ import annotations

import dataclasses
import datetime
from http import HTTPStatus

from starlette.responses import Response

from accord.client.board.visit import Visit
from accord.client.policy.desk import Desk, remember_signed, utc_now
from accord.client.policy.hub_access import HubPolicies
from accord.client.policy.keys import open_key, read_key_file
from accord.client.policy.proposal_files import LARGEST_PROPOSAL, file_name
from accord.client.policy.query_log import from_message
from accord.client.policy.review import review
from accord.core.errors import (
    AccordError,
    InvalidQuery,
    NotFound,
    PolicyDenied,
)
from accord.core.members import with_short_keys
from accord.core.policy import Policy, load_policy_set
from accord.core.simulate import Outcome, outcome_line, simulate
from accord.trust.proposal import Proposal
from accord.trust.proposal_file import from_file, to_file

TRIED_DAYS = 90
MOST_TRIED = 5000
MOST_SHOWN = 20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What past questions would have got."""

    agreement: str
    sentences: tuple[str, ...]
    gained: tuple[str, ...]
    lost: tuple[str, ...]


def proposal(visit: Visit) -> Response:
    """Show a proposal."""
    with visit.home.desk() as desk:
        return _shown(visit, desk, desk.proposal(visit.where["id"]))


def sign(visit: Visit) -> Response:
    """Sign a proposal with a key of this machine, or one that was brought."""
    with visit.home.desk() as desk:
        found = desk.proposal(visit.where["id"])
        try:
            desk.check_current(found, utc_now())
            if not visit.text("compared"):
                raise InvalidQuery("NOT_COMPARED", visit.say("board.page.compare"))
            pem, source = _key(visit)
            private = open_key(pem, visit.fields.get("passphrase", ""), source)
            signed = found.sign(private)
            remember_signed(signed)
        except AccordError as error:
            return _shown(visit, desk, found, problem=error)
        desk.keep(signed)
        desk.offer(signed)
    return visit.go(f"proposals/{signed.id}", "signed")


def offer(visit: Visit) -> Response:
    """Bring a draft to the hub, where the others find it."""
    with visit.home.desk() as desk:
        found = desk.proposal(visit.where["id"])
        desk.check_current(found, utc_now())
        desk.offer(found)
    return visit.go(f"proposals/{found.id}", "offered")


def publish(visit: Visit) -> Response:
    """Put a proposal in force."""
    with visit.home.desk() as desk:
        found = desk.proposal(visit.where["id"])
        missing = found.standing().missing
        if missing:
            raise PolicyDenied("SIGNATURES_MISSING", " ".join(missing))
        desk.publish(found)
    return visit.go("", "published")


def drop(visit: Visit) -> Response:
    """Forget a draft that was never brought to the hub."""
    with visit.home.desk() as desk:
        desk.drop(visit.where["id"])
    return visit.go("")


def download(visit: Visit) -> Response:
    """Give out a proposal as a file, to pass on without a hub."""
    with visit.home.desk() as desk:
        found = desk.proposal(visit.where["id"])
    return Response(
        to_file(found),
        media_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="{file_name(found)}"'},
    )


def bring(visit: Visit) -> Response:
    """Take a proposal, or signatures under one, from a file."""
    upload = visit.file("proposal")
    if upload is None or len(upload.content) > LARGEST_PROPOSAL:
        raise InvalidQuery("PROPOSAL_UNREADABLE", visit.say("board.page.no-file"))
    brought = from_file(upload.content, upload.name)
    with visit.home.desk() as desk:
        here = desk.drafted(brought.id)
        desk.keep(brought.merge(here) if here is not None else brought)
    return visit.go(f"proposals/{brought.id}", "kept")


def _key(visit: Visit) -> tuple[bytes, str]:
    """Return a sealed key: the file that was brought, or the one that was chosen.

    Raises:
        NotFound: KEY_UNKNOWN.
    """
    upload = visit.file("key_file")
    if upload is not None and upload.content:
        return upload.content, upload.name
    chosen = visit.text("key")
    path = next((each for each in visit.home.key_files() if each.stem == chosen), None)
    if path is None:
        raise NotFound("KEY_UNKNOWN", visit.say("board.page.no-key"))
    return read_key_file(path), path.name


def _shown(
    visit: Visit, desk: Desk, found: Proposal, problem: AccordError | None = None
) -> Response:
    summaries = {each.id: each for each in desk.waiting()}
    summary = summaries.get(found.id)
    published = summary is not None and summary.published
    outdated = None if published else _outdated(desk, found)
    trials: tuple[Trial, ...] = ()
    untried: AccordError | None = None
    if not published and outdated is None:
        try:
            trials = _trials(visit, desk.access, found)
        except AccordError as error:
            untried = error
    return visit.page(
        "proposal.html",
        status=HTTPStatus.BAD_REQUEST if problem else HTTPStatus.OK,
        shown=review(found, visit.language),
        at_hub=summary is not None,
        published=published,
        outdated=outdated,
        trials=trials,
        untried=untried,
        days=TRIED_DAYS,
        keys=[path.stem for path in visit.home.key_files()],
        documents=_texts(found),
        problem=problem,
    )


def _outdated(desk: Desk, found: Proposal) -> AccordError | None:
    """Return why the proposal must not be signed now, if so."""
    try:
        desk.check_current(found, utc_now())
    except AccordError as error:
        return error
    return None


def _trials(visit: Visit, access: HubPolicies, found: Proposal) -> tuple[Trial, ...]:
    """Try every changed agreement on what was asked of it lately."""
    if not found.before:
        return ()
    before, after = load_policy_set(found.before), load_policy_set(found.after)
    until = utc_now()
    since = until - datetime.timedelta(days=TRIED_DAYS)
    trials = []
    for policy in after.policies():
        old = before.policy(policy.name)
        if old is None or old.digest == policy.digest:
            continue
        log = []
        asked = access.queries(
            policy.name, int(since.timestamp()), int(until.timestamp()) + 1
        )
        for message in asked:
            log.append(from_message(message))
            if len(log) == MOST_TRIED:
                break
        outcome = simulate(policy, log, old)
        trials.append(
            Trial(
                agreement=policy.name,
                sentences=outcome.sentences(visit.language),
                gained=_lines(policy, outcome.gained(), visit.language),
                lost=_lines(policy, outcome.lost(), visit.language),
            )
        )
    return tuple(trials)


def _lines(
    policy: Policy, outcomes: tuple[Outcome, ...], language: str
) -> tuple[str, ...]:
    """Return the first of some outcomes in words."""
    return tuple(
        outcome_line(policy.agreement, each, language) for each in outcomes[:MOST_SHOWN]
    )


def _texts(found: Proposal) -> list[tuple[str, str]]:
    """Return the changed documents as they would be in force."""
    return [
        (path, with_short_keys(found.after[path].decode("utf-8", "replace")))
        for path in found.changed()
        if path in found.after
    ]
