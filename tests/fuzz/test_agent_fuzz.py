# SPDX-License-Identifier: Apache-2.0
"""What an agent reads from others: mapping files, and all that a hub can send.

Random changes of good messages always run; twenty seconds of coverage-guided fuzzing
where atheris is there.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from accord.agent.rounds import history
from accord.agent.rounds.history import Outcome
from accord.core.errors import RequisitionRefused
from accord.ledger.sqlite import transaction
from tests.fuzz.stream import Listener
from tests.unit.agent.agencies import MAPPING_TEXT
from tests.unit.agent.agreements import AGENCY

ROOT = Path(__file__).parents[2]
RECORDED = sorted((ROOT / "tests/fixtures/wire").glob("*/*-down-*.binpb"))
SECONDS = 20
MEMORY_MB = 1024
"""Most that a program that is fuzzed may take; libFuzzer ends it beyond."""

needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris is not installed; it has no wheel for every platform",
)


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Listener:
    return Listener(tmp_path_factory.mktemp("listener"))


@st.composite
def changed(draw: st.DrawFn, examples: int) -> tuple[int, list[tuple[int, int, bytes]]]:
    """Draw which message, and what is put in the place of how many bytes where."""
    edits = st.tuples(
        st.integers(0, 1 << 16), st.integers(0, 40), st.binary(max_size=24)
    )
    return draw(st.integers(0, examples - 1)), draw(st.lists(edits, max_size=4))


def apply(content: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for place, length, put in edits:
        at = place % (len(content) + 1)
        content = content[:at] + put + content[at + length :]
    return content


EXAMPLES = 4
"""Messages of an honest round; the others are recorded ones."""


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(changed(EXAMPLES + len(RECORDED)))
def test_changed_messages_are_refused_and_nothing_else(
    listener: Listener, drawn: tuple[int, list[tuple[int, int, bytes]]]
) -> None:
    number, edits = drawn
    known = [*listener.examples, *(path.read_bytes() for path in RECORDED)]
    assert len(listener.examples) == EXAMPLES
    listener.hear(apply(known[number], edits))


def test_what_an_honest_hub_sends_goes_through(tmp_path: Path) -> None:
    """Else nothing behind the first check would have been reached."""
    listener = Listener(tmp_path)
    with capture_logs() as lines:
        for example in listener.examples:
            listener.hear(example)
    assert not lines  # `Listener.hear` keeps them to itself
    assert listener.world.whole(listener.world.asked()).seeds
    state = listener.world.states[AGENCY]
    with state.ledger() as connection, transaction(connection) as tx:
        outcomes = {outcome for outcome, _ in history.counts(tx)}
    assert outcomes == {Outcome.ASKED, Outcome.OPENED, Outcome.ENDED}


def test_a_refusal_that_comes_again_and_again_takes_no_memory(tmp_path: Path) -> None:
    """A head that is not signed by the hub of the list stops everything."""
    listener = Listener(tmp_path)
    [path] = (ROOT / "tests/fixtures/wire/0.1").glob("*-down-welcome.binpb")
    listener.hear(path.read_bytes())
    depths = []
    for _ in range(4):
        with pytest.raises(RequisitionRefused) as caught:
            listener.world.ready(listener.world.asked())
        depths.append(len(caught.traceback))
    assert caught.value.reason == "SIGNATURE_INVALID"
    assert len(set(depths)) == 1


def fuzz(target: str, corpus: Path, words: tuple[str, ...]) -> int:
    """Run a target and return how many inputs it read."""
    dictionary = corpus.parent / "words"
    dictionary.write_text("\n".join(map('"{}"'.format, words)), encoding="utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", f"tests.fuzz.{target}", f"-dict={dictionary}"),
            *(f"-max_total_time={SECONDS}", "-max_len=8192", "-timeout=120"),
            f"-rss_limit_mb={MEMORY_MB}",
            *(f"-artifact_prefix={corpus.parent}/", str(corpus)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS * 12,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    runs = re.search(r"Done (\d+) runs", said)
    assert runs is not None
    return int(runs[1])


@needs_atheris
@pytest.mark.slow
def test_a_mapping_raises_errors_of_ours_alone(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "small").write_text(MAPPING_TEXT, encoding="utf-8")
    words = ("dimensions:", "column:", "codes:", "otherwise:", "&a", "*a", "<<:", "!!")
    assert fuzz("mapping_target", corpus, words) > 50


@needs_atheris
@pytest.mark.slow
def test_a_stream_raises_errors_of_ours_alone(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for path in RECORDED:
        (corpus / path.name).write_bytes(path.read_bytes())
    assert fuzz("stream_target", corpus, ("fallback", "shelter", "hotline")) > 200
