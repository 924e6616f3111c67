# SPDX-License-Identifier: Apache-2.0
"""A draft as the file that staff reads, completes and keeps.

What is open says ``TODO``, with what to choose from beside it; `accord-agent check`
refuses the file as long as there is one. Columns that may belong somewhere stand in
comments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from accord.agent.drafting.draft import Consent, Draft, Entry
from accord.agent.intake.mapping import CASES_ONLY, ROW_NUMBER, fold
from accord.agent.intake.openness import OPEN
from accord.agent.sources.form import SourceForm
from accord.core.dimension import Dimension

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:[ -][A-Za-z0-9_]+)*")
_WORDS_OF_YAML = frozenset(
    ("true", "false", "null", "yes", "no", "on", "off", "y", "n", "none")
)
_WIDTH = 92


def written(draft: Draft) -> str:
    """Return the text of the mapping file."""
    return "\n".join(_lines(draft)) + "\n"


def quoted(text: str) -> str:
    """Return *text* as YAML reads it back, whatever it holds."""
    plain = text.casefold() not in _WORDS_OF_YAML and text != OPEN
    if plain and _PLAIN.fullmatch(text):
        return text
    if text.isprintable():
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return '"' + "".join(_escaped(each) for each in text) + '"'


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"


def _lines(draft: Draft) -> Iterator[str]:
    yield "# Drafted from the names, the forms and the codes of the columns."
    yield "# Read it against your own files before you rely on it."
    if draft.profile is not None:
        yield f"# The columns are those of a known form: {draft.profile}."
    if any(draft.questions()):
        yield f"# Where it says {OPEN}, put an answer in its place."
    yield f"mapping: {quoted(draft.name)}"
    yield f"data_model: {draft.model.name}"
    yield from _source(draft.form)
    yield from _person(draft)
    yield from _case(draft)
    yield from _consent(draft.consent)
    yield "dimensions:"
    for name, entry in draft.in_order():
        yield from _entry(name, entry, draft.model.dimensions[name])
        for column in entry.reads:
            if column in draft.hidden:
                yield f"  # {quoted(column)} has codes with invisible characters, which"
                yield "  # cannot stand here: correct them in the source."
    without = draft.without_entry()
    if without:
        yield from _comment("nothing was found for: " + ", ".join(without), "  ")
    if draft.quantities:
        yield "quantities:"
        for name, (column, comma) in draft.quantities.items():
            decimal = ', decimal: ","' if comma else ""
            yield f"  {name}: {{column: {quoted(column)}{decimal}}}"
    yield from _not_read(draft)


def _source(form: SourceForm) -> Iterator[str]:
    if form.encoding not in (None, "utf-8"):
        yield f"source: {{encoding: {form.encoding}}}    # as far as can be told"
    if form.database is not None and form.table is not None:
        names = f"database: {quoted(form.database)}, table: {quoted(form.table)}"
        yield f"source: {{{names}}}"
        yield "# With `changed: COLUMN` in it, and a case id, only changes are read."


def _person(draft: Draft) -> Iterator[str]:
    person = draft.person
    if person is not None:
        yield f"person: {_person_text(person)}"
        return
    yield "# Which columns identify a person? It decides how well people are protected."
    yield "# Choose columns that do not change. Proposals, by the names of the columns:"
    for proposal in draft.proposals:
        yield f"#   person: {_person_text(proposal.person)}{_meaning(proposal.person)}"
    yield f"person: {OPEN}"


def _person_text(person: Sequence[str]) -> str:
    if isinstance(person, str):
        return person
    return f"[{', '.join(map(quoted, person))}]"


def _meaning(person: object) -> str:
    meanings = {
        ROW_NUMBER: "       # every row is a person of its own",
        CASES_ONLY: "       # the records name nobody",
    }
    return meanings.get(person, "") if isinstance(person, str) else ""


def _case(draft: Draft) -> Iterator[str]:
    if draft.person == CASES_ONLY:
        return
    for column in draft.case:
        yield f"case: [{quoted(column)}]    # rows with the same here are one case"


def _consent(consent: Consent | None) -> Iterator[str]:
    if consent is None:
        return
    column = quoted(consent.column)
    if consent.given:
        given = ", ".join(map(quoted, consent.given))
        yield f"consent: {{column: {column}, given: [{given}]}}"
        return
    yield f"# Which codes of {column} say that a record may be counted? If it says"
    yield "# something else, take the line out."
    if consent.codes:
        yield from _comment("Its codes: " + ", ".join(map(quoted, consent.codes)))
    yield f"consent: {{column: {column}, given: {OPEN}}}"


def _entry(name: str, entry: Entry, dimension: Dimension) -> Iterator[str]:
    if entry.note:
        yield f"  # {entry.note}"
    if entry.untold:
        yield "  # People seem to write freely here. Other texts, which are not shown:"
        yield f"  # {entry.untold}. `check` counts their rows; `otherwise` places them."
    if entry.either:
        yield f"  # {OPEN}: which of these is it, {' or '.join(entry.either)}?"
    forms = [*entry.forms, *([OPEN] if entry.either else [])]
    listed = f"[{', '.join(map(quoted, forms))}]" if len(forms) > 1 else ""
    form = listed or (quoted(forms[0]) if forms else "")
    if entry.flags:
        yield f"  {name}:"
        yield "    flags:"
        for column, value in entry.flags.items():
            yield f"      {quoted(column)}: {quoted(value)}"
        return
    if entry.birth_date:
        assert entry.at  # noqa: S101 - an age has a day to reckon it at
        yield (
            f"  {name}: {{birth_date: {quoted(entry.birth_date)}, at: "
            f"{quoted(entry.at)}, format: {form}}}"
        )
        return
    origin = (
        f"columns: [{', '.join(map(quoted, entry.columns))}]"
        if entry.columns
        else f"column: {quoted(entry.column or '')}"
    )
    extra = f', separator: "{entry.separator}"' if entry.separator else ""
    date = f", date: {form}" if form else ""
    if not entry.codes or _says_the_same(entry, dimension):
        yield f"  {name}: {{{origin}{extra}{date}}}"
        return
    yield f"  {name}:"
    yield f"    {origin}"
    if entry.separator:
        yield f'    separator: "{entry.separator}"'
    yield "    codes:"
    for code, placed in entry.codes.items():
        yield _code(code, placed, entry.nearest.get(code, ()), dimension)


def _code(
    code: str, placed: Sequence[str], nearest: Sequence[str], dimension: Dimension
) -> str:
    if placed:
        values = [quoted(value) for value in placed]
        value = values[0] if len(values) == 1 else f"[{', '.join(values)}]"
        return f"      {quoted(code)}: {value}"
    names = nearest or dimension.domain(dimension.levels[-1])[:6]
    return (
        f"      {quoted(code)}: {OPEN}    # which value? nearest: {', '.join(names)}; "
        "or unknown"
    )


def _says_the_same(entry: Entry, dimension: Dimension) -> bool:
    """Tell whether the source has the model's own names and needs no codes."""
    names = {
        fold(node): node
        for level in dimension.levels
        for node in dimension.domain(level)
    }
    return all(
        len(placed) == 1 and names.get(fold(code)) == placed[0]
        for code, placed in entry.codes.items()
    )


def _not_read(draft: Draft) -> Iterator[str]:
    maybe = {column: near for column, near in draft.maybe.items() if near}
    for column, near in maybe.items():
        yield (
            f"# Is {quoted(column)} one of these: {', '.join(near)}? If so, give it an "
            "entry above."
        )
    rest = [column for column in draft.maybe if column not in maybe]
    if rest:
        yield from _comment("Not used: " + ", ".join(map(quoted, rest)))
    used = set(draft.person) if isinstance(draft.person, tuple) else set()
    used |= set(draft.case)
    unread = [column for column in draft.unread if column not in used]
    if unread:
        text = "Not looked into, by their names: " + ", ".join(map(quoted, unread))
        yield from _comment(text)
    if draft.formless:
        text = "Hold bytes, lists or the like, which no mapping reads: "
        yield from _comment(text + ", ".join(map(quoted, draft.formless)))


def _comment(text: str, indent: str = "") -> Iterator[str]:
    import textwrap

    yield from textwrap.wrap(
        text, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}#   "
    )
