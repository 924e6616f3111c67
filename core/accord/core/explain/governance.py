# SPDX-License-Identifier: Apache-2.0
"""Who looks, who decides, for how long, and under which law."""

from __future__ import annotations

from collections.abc import Iterator

from accord.core.board import BoardForm
from accord.core.explain.passage import Passage, as_written, listed, passage
from accord.core.policy import Policy


def about_governance(policy: Policy, board: BoardForm | None) -> Iterator[Passage]:
    """Explain review, emergencies, linkage, approval, validity, law and contacts."""
    yield from _review(policy)
    yield from _emergency(policy, board)
    yield from _linkage(policy)
    yield from _approval(policy, board)
    yield from _validity(policy)
    yield from _law(policy)


def _review(policy: Policy) -> Iterator[Passage]:
    form = policy.agreement.form
    review = form.review
    yield passage("review", "review.releases", f"review-{review.releases}")
    if form.holds_answers:
        yield passage(
            "review",
            "review.reviewers",
            "reviewers",
            reviewers=listed(review.reviewers),
        )


def _emergency(policy: Policy, board: BoardForm | None) -> Iterator[Passage]:
    clause = policy.agreement.form.emergency
    if clause is None:
        yield passage("emergency", "emergency", "emergency-none")
        return
    yield passage("emergency", "emergency.purpose", "emergency", purpose=clause.purpose)
    yield passage(
        "emergency",
        "emergency.spend",
        "emergency-spend",
        epsilon=as_written(clause.spend.epsilon),
        days=clause.at_most,
    )
    yield passage(
        "emergency", "emergency.at_most", "emergency-days", days=clause.at_most
    )
    yield passage(
        "emergency",
        "emergency.approvers",
        "emergency-approvers",
        approvers=listed(_named(board, label) for label in clause.approvers),
    )
    if policy.emergency is not None:
        yield passage(
            "emergency",
            "emergency",
            "emergency-declared",
            first=policy.emergency.first,
            until=policy.emergency.until,
            reason=policy.emergency.reason,
        )


def _linkage(policy: Policy) -> Iterator[Passage]:
    form = policy.agreement.form
    for label, extent in form.linkage.items():
        yield passage("linkage", f"linkage.{label}", f"linkage-{extent}", party=label)
    silent = [label for label in form.parties if label not in form.linkage]
    if silent:
        yield passage("linkage", "linkage", "linkage-silent", parties=listed(silent))


def _approval(policy: Policy, board: BoardForm | None) -> Iterator[Passage]:
    approval = policy.agreement.form.approval
    yield passage("approval", "approval.quorum", "quorum", quorum=approval.quorum)
    yield passage(
        "approval", "approval.signatories", f"signatories-{approval.signatories}"
    )
    for seat in approval.loosening_needs:
        holder = board.seats.get(seat) if board is not None else None
        if holder is None:
            yield passage("approval", "approval.loosening_needs", "seat", seat=seat)
        else:
            yield passage(
                "approval",
                "approval.loosening_needs",
                "seat-held",
                seat=seat,
                holder=_named(board, holder),
            )
    if not approval.loosening_needs:
        yield passage("approval", "approval.loosening_needs", "seat-none")


def _validity(policy: Policy) -> Iterator[Passage]:
    valid = policy.agreement.form.valid
    yield passage("validity", "valid.from", "valid-from", day=valid.first)
    yield passage("validity", "valid.until", "valid-until", day=valid.until)
    yield passage("validity", "valid.review_by", "review-by", day=valid.review_by)
    kept = policy.agreement.form.retention
    for name, days in (("releases", kept.releases), ("questions", kept.questions)):
        clause, code = f"retention.{name}", f"retention-{name}"
        if days is None:
            yield passage("validity", clause, f"{code}-ever")
        else:
            yield passage("validity", clause, code, days=days)


def _law(policy: Policy) -> Iterator[Passage]:
    form = policy.agreement.form
    for label, law in form.law.items():
        yield passage(
            "law",
            f"law.{label}",
            f"law-{law.regime}",
            party=label,
            basis=law.basis,
        )
        if law.assessment is None:
            yield passage("law", f"law.{label}", "law-unassessed", party=label)
        else:
            yield passage(
                "law",
                f"law.{label}.assessment",
                "law-assessed",
                party=label,
                reference=law.assessment,
            )
    contacts = form.contacts
    if contacts is None:
        yield passage("law", "contacts", "contacts-none")
        return
    for clause, contact in (
        ("breach", contacts.breach),
        ("complaints", contacts.complaints),
        ("audit", contacts.audit),
    ):
        if contact is not None:
            yield passage(
                "law", f"contacts.{clause}", f"contact-{clause}", contact=contact
            )


def _named(board: BoardForm | None, label: str) -> str:
    """Return a board member's name with the label, where the board is known."""
    if board is None or label not in board.members:
        return label
    return f"{board.members[label].name} ({label})"
