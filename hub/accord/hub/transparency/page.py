# SPDX-License-Identifier: Apache-2.0
"""One page with everything: no script, nothing to load, made to be printed too."""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
from collections.abc import Iterable, Iterator
from typing import Final

from accord.core._version import __version__
from accord.core.explain.passage import as_written
from accord.core.messages import direction
from accord.hub.transparency.markup import Content, Markup, element, joined
from accord.hub.transparency.publication import (
    Outcome,
    Publication,
    PublishedRelease,
)
from accord.hub.transparency.release_table import release_table
from accord.hub.transparency.words import Speech, day, spent

_STYLE: Final = (
    importlib.resources.files("accord.hub.transparency")
    .joinpath("export.css")
    .read_text(encoding="utf-8")
)


def page(shown: Publication, language: str) -> str:
    """Return the page as HTML."""
    speech = Speech(language)
    return "<!doctype html>\n" + element(
        "html",
        _head(speech, shown),
        element(
            "body",
            element(
                "header",
                element("p", speech.say("site"), class_="site"),
                element("h1", speech.say("title", name=shown.agreement.name)),
                element("p", speech.say("lead"), class_="lead"),
            ),
            element("main", *_sections(speech, shown)),
            element(
                "footer",
                element(
                    "p",
                    speech.say("made", day=day(shown.at), version=__version__),
                ),
            ),
        ),
        lang=language,
        dir=direction(language),
    )


def _head(speech: Speech, shown: Publication) -> Markup:
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element(
            "meta",
            http_equiv="Content-Security-Policy",
            content=f"default-src 'none'; style-src 'sha256-{digest}'",
        ),
        element("title", speech.say("title", name=shown.agreement.name)),
        element("style", Markup(_STYLE)),
    )


def _sections(speech: Speech, shown: Publication) -> Iterator[Markup]:
    if shown.unsafe:
        yield element("p", speech.say("unsafe"), class_="warning")
    yield _overview(speech, shown)
    yield _agreement(speech, shown)
    yield _budget(speech, shown)
    yield _releases(speech, shown)
    yield _questions(speech, shown)
    yield _checking(speech, shown)


def _overview(speech: Speech, shown: Publication) -> Markup:
    refused, failed = shown.count(Outcome.REFUSED), shown.count(Outcome.FAILED)
    figures = (
        ("count.questions", len(shown.questions)),
        ("count.releases", len(shown.releases)),
        ("count.refused", refused),
        ("count.failed", failed),
    )
    return element(
        "dl",
        *(
            element("div", element("dt", speech.say(name)), element("dd", str(number)))
            for name, number in figures
        ),
        class_="numbers",
    )


def _agreement(speech: Speech, shown: Publication) -> Markup:
    form = shown.agreement.form
    facts = (
        ("fact.version", str(form.version)),
        ("fact.parties", "; ".join(shown.parties)),
        ("fact.organisations", ", ".join(form.recipients.organisations)),
        ("fact.purposes", ", ".join(form.purpose)),
        ("fact.valid", f"{form.valid.first} – {form.valid.until}"),
        ("fact.operator", form.hub_operator),
    )
    return element(
        "section",
        element("h2", speech.say("heading.agreement")),
        element(
            "dl",
            *(
                element(
                    "div", element("dt", speech.say(name)), element("dd", _free(text))
                )
                for name, text in facts
            ),
            class_="facts",
        ),
    )


def _budget(speech: Speech, shown: Publication) -> Markup:
    delta = shown.agreement.form.spend.delta
    said = speech.say("budget-zcdp", delta=as_written(delta)) if delta else ""
    rows = [
        (
            _account(speech, shown, each.name),
            _period(speech, each.period),
            spent(each.cap_epsilon),
            spent(each.spent_epsilon),
            _share(each.spent_epsilon, each.cap_epsilon),
        )
        for each in shown.accounts
    ]
    return element(
        "section",
        element("h2", speech.say("heading.budget")),
        element("p", speech.say("budget"), " ", said),
        element("p", speech.say("spent", epsilon=spent(shown.spent))),
        _table(
            speech,
            "heading.budget",
            ("column.account", "column.period", "column.cap", "column.spent", None),
            rows,
        ),
    )


def _account(speech: Speech, shown: Publication, name: str) -> str:
    kind = "emergency" if name.endswith("/emergency") else "agreement"
    return speech.say(f"account.{kind}", name=shown.agreement.name)


def _period(speech: Speech, period: str) -> str:
    days = period.partition(" ")[0]
    if not days.isdigit():
        return speech.say("period.ever")
    return speech.say("period.days", days=days)


def _share(used: float, cap: float) -> Markup:
    """Return a bar that says how much of a cap is used; beside it stand the numbers."""
    width = 100 * min(1.0, used / cap) if cap else 100.0
    return element(
        "svg",
        element("rect", width="100", height="8", class_="cap"),
        element("rect", width=f"{width:.1f}", height="8", class_="used"),
        viewBox="0 0 100 8",
        width="100",
        height="8",
        aria_hidden="true",
    )


def _releases(speech: Speech, shown: Publication) -> Markup:
    if not shown.releases:
        return element(
            "section",
            element("h2", speech.say("heading.releases")),
            element("p", speech.say("no-releases")),
        )
    return element(
        "section",
        element("h2", speech.say("heading.releases")),
        element("p", speech.say("releases")),
        element(
            "ol",
            *(
                element("li", element("a", _title(speech, each), href=_anchor(each)))
                for each in shown.releases
            ),
        ),
        *(_release(speech, each) for each in shown.releases),
        element("h3", speech.say("heading.not-covered")),
        element("ul", *(element("li", each) for each in _not_covered(shown))),
    )


def _anchor(release: PublishedRelease) -> str:
    return f"#release-{release.id}"


def _title(speech: Speech, release: PublishedRelease) -> str:
    return speech.question(release.words)


def _release(speech: Speech, release: PublishedRelease) -> Markup:
    found = release.message
    if found is None:
        return element(
            "article",
            element("h3", _free(_title(speech, release))),
            element(
                "p",
                speech.say(
                    "release-erased",
                    day=day(release.day),
                    epsilon=spent(release.summary.cost.epsilon),
                ),
                class_="soft",
            ),
            id=f"release-{release.id}",
        )
    missing = ", ".join(found.coverage.missing) or speech.say("nobody")
    return element(
        "article",
        element("h3", _free(_title(speech, release))),
        element(
            "p",
            speech.say(
                "release",
                day=day(release.day),
                version=found.agreement_version,
                epsilon=spent(found.cost.epsilon),
                answered=", ".join(found.coverage.answered),
                missing=missing,
            ),
            class_="soft",
        ),
        release_table(speech, found),
        element(
            "p",
            speech.say("release-id", id=found.id, digest=release.digest),
            class_="soft small",
        ),
        id=f"release-{found.id}",
    )


def _not_covered(shown: Publication) -> Iterable[str]:
    """Return each sentence once, in the order of the releases."""
    return dict.fromkeys(
        text
        for release in shown.releases
        if release.message is not None
        for text in release.message.not_covered
    )


def _questions(speech: Speech, shown: Publication) -> Markup:
    heading = element("h2", speech.say("heading.questions"))
    if not shown.questions:
        return element("section", heading, element("p", speech.say("no-questions")))
    released = {each.id for each in shown.releases}
    rows = []
    for each in shown.questions:
        outcome: Content = speech.outcome(each)
        if each.release in released:
            outcome = element("a", outcome, href=f"#release-{each.release}")
        rows.append(
            (
                str(each.number),
                element("time", day(each.day)),
                each.organisation,
                each.purpose or speech.say("other-purpose"),
                speech.question(each.words),
                outcome,
                spent(each.epsilon),
            )
        )
    return element(
        "section",
        heading,
        element("p", speech.say("questions")),
        _table(
            speech,
            "heading.questions",
            (
                "column.number",
                "column.day",
                "column.organisation",
                "column.purpose",
                "column.question",
                "column.outcome",
                "column.cost",
            ),
            rows,
        ),
    )


def _checking(speech: Speech, shown: Publication) -> Markup:
    return element(
        "section",
        element("h2", speech.say("heading.checking")),
        element("p", speech.say("checking")),
        element("p", _log(speech, shown), class_="small"),
        element(
            "p",
            speech.say(
                "signed",
                version=shown.policies_version,
                digest=shown.agreement.digest,
            ),
            class_="small",
        ),
    )


def _log(speech: Speech, shown: Publication) -> str:
    """Return what the log was, and who has seen it so."""
    if shown.log is None:
        return speech.say("log-none")
    return speech.say(
        "log",
        size=shown.log.size,
        root=shown.log.root.hex(),
        witnesses=", ".join(shown.log.witnesses) or speech.say("nobody"),
    )


def _table(
    speech: Speech,
    caption: str,
    columns: Iterable[str | None],
    rows: Iterable[Iterable[Content]],
) -> Markup:
    """Return a table that can be moved sideways where it is too wide."""
    head = element(
        "tr",
        *(
            element("th", speech.say(each), scope="col") if each else element("td")
            for each in columns
        ),
    )
    body = (
        element("tr", *(element("td", _free(cell)) for cell in row)) for row in rows
    )
    return element(
        "div",
        element(
            "table",
            element("caption", speech.say(caption)),
            element("thead", head),
            element("tbody", *body),
        ),
        class_="wide",
        role="region",
        tabindex="0",
        aria_label=speech.say(caption),
    )


def _free(content: Content) -> Markup:
    """Return text whose direction is its own, whatever stands around it."""
    if isinstance(content, Markup):
        return content
    return element("bdi", joined(content))
