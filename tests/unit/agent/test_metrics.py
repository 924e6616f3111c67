# SPDX-License-Identifier: Apache-2.0
"""Figures for monitoring: what they show, to whom, and that no record is in them."""

from __future__ import annotations

import contextlib
import datetime
import http.client
import itertools
import re
import shutil
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from structlog.testing import capture_logs

from accord.agent.approvals.decisions import questions
from accord.agent.metrics import figures as figures_module
from accord.agent.metrics import listener
from accord.agent.metrics.figures import OUTCOMES, REASONS, Figures
from accord.agent.metrics.listener import Recent, listening
from accord.agent.network.identity import IdentityFiles, Membership
from accord.agent.network.link import Link
from accord.agent.rounds.history import Outcome
from accord.agent.running import _figures
from accord.agent.settings import Settings, load_settings
from accord.agent.state import AgentState
from accord.core.errors import (
    AccordError,
    ConfigurationError,
    PreconditionFailed,
    RequisitionRefused,
)
from accord.rpc import pki
from accord.rpc.address import Address
from accord.rpc.loopback.port import MOST_CONNECTIONS, claim
from tests.unit.agent.agency_world import THREE, Templates, World, joined, stored
from tests.unit.agent.agreements import AGENCY, AGREEMENT_TEXT, signed

ROOT = Path(__file__).parents[3]
LOOPBACK = Address("127.0.0.1", 0)
DAY = datetime.timedelta(days=1)


def identify(states: Sequence[AgentState], now: datetime.datetime) -> None:
    """Give agencies one and the same certificate."""
    own = states[0]
    key, authority = pki.new_authority("test", now)
    files = IdentityFiles(own.keys)
    certificate = pki.issue(
        key,
        authority,
        pki.certificate_request(files.make_key()),
        label=AGENCY,
        network="test",
        lifetime=DAY,
        now=now,
    )
    membership = Membership(agency=AGENCY, hub=Address("localhost", 8444))
    files.save(membership, certificate=certificate, authority=authority)
    for other in states[1:]:
        for each in own.keys.iterdir():
            if not (other.keys / each.name).exists():
                shutil.copy2(each, other.keys / each.name)


def figures(world: World, link: Link | None = None, **settings: object) -> Figures:
    return Figures(
        world.states[AGENCY],
        agency=AGENCY,
        settings=Settings.model_validate(settings),
        link=link or Link(),
        clock=world.clock,
    )


def values(text: bytes) -> dict[str, float]:
    """Return samples by name and labels."""
    lines = [line for line in text.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (x.rpartition(" ") for x in lines)}


def live(world: World) -> None:
    """Lead an agency through what can happen to questions."""
    world.whole(world.asked())
    world.hub.mask(world.ready(world.asked()))
    world.ready(world.asked())
    ended = world.hub.mask(world.ready(world.asked()))
    world.answerers[AGENCY].settle([ended.query_id])
    with pytest.raises(RequisitionRefused):
        world.answerers[AGENCY].ready(
            *signed(world.asked(agreement_version=9)), 1, world.offer.fetch
        )


@pytest.fixture
def identified(world: World) -> World:
    identify([world.states[AGENCY]], world.clock())
    return world


class TestWhatTheyShow:
    def test_questions_by_what_became_of_them(self, identified: World) -> None:
        live(identified)
        found = values(figures(identified).text())
        shown = {
            name: found[f'accord_agent_questions{{outcome="{name}"}}']
            for name in set(OUTCOMES.values())
        }
        assert shown == {"answered": 1, "open": 2, "ended": 1, "refused": 1}
        reasons = {
            reason: found[f'accord_agent_questions_refused{{reason="{reason}"}}']
            for reason in REASONS
        }
        assert sum(reasons.values()) == 1
        assert found["accord_agent_ledger_height"] > 0
        zcdp = found['accord_agent_lifetime_spent_ratio{accounting="zcdp"}']
        assert 0 < zcdp < 1
        assert found['accord_agent_lifetime_spent_ratio{accounting="pure"}'] == 0
        assert found["accord_agent_editions"] >= 1
        assert found["accord_agent_policies_version"] == 1
        assert not any(
            value for name, value in found.items() if name.startswith("accord_agent_b")
        )

    def test_every_outcome_and_reason_is_there_from_the_start(
        self, identified: World
    ) -> None:
        assert set(OUTCOMES) == set(Outcome)
        found = values(figures(identified).text())
        assert found['accord_agent_questions_refused{reason="APPROVAL_REFUSED"}'] == 0
        assert found['accord_agent_questions{outcome="answered"}'] == 0

    def test_the_connection(self, identified: World) -> None:
        link = Link()
        asked = figures(identified, link)
        now = identified.clock()
        assert values(asked.text())["accord_agent_connected"] == 0
        assert values(asked.text())["accord_agent_last_contact_timestamp_seconds"] == 0
        link.ended(now)
        assert link.last_contact is None
        link.opened(now - DAY)
        found = values(asked.text())
        assert found["accord_agent_connected"] == 1
        last = "accord_agent_last_contact_timestamp_seconds"
        assert found[last] == now.timestamp()
        link.ended(now - DAY / 2)
        found = values(asked.text())
        assert found["accord_agent_connected"] == 0
        assert found[last] == (now - DAY / 2).timestamp()
        until = found["accord_agent_certificate_expires_timestamp_seconds"]
        assert until - now.timestamp() == pytest.approx(DAY.total_seconds(), abs=1)

    def test_that_nothing_is_answered(self, identified: World) -> None:
        """Signatures that have ended, as after months without a hub."""
        identified.clock.now += 400 * DAY
        found = values(figures(identified).text())
        assert found['accord_agent_blocked{reason="POLICY_UNTRUSTED"}'] == 1
        assert found['accord_agent_blocked{reason="LOG_FORKED"}'] == 0

    def test_what_waits_for_people(self, identified: World) -> None:
        careful = identified.answerer(AGENCY, approval={"needed": "always"})
        with pytest.raises(RequisitionRefused):
            careful.ready(*signed(identified.asked()), 1, identified.offer.fetch)
        assert len(questions(identified.states[AGENCY], identified.clock())) == 1
        assert values(figures(identified).text())["accord_agent_approvals_waiting"] == 1

    def test_that_the_disk_is_nearly_full(
        self, identified: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert values(figures(identified).text())["accord_agent_disk_low"] == 0
        monkeypatch.setattr(figures_module, "LOW_DISK", 1 << 60)
        assert values(figures(identified).text())["accord_agent_disk_low"] == 1


def test_two_agencies_with_other_records_show_the_same_text(
    templates: Templates, tmp_path: Path
) -> None:
    """One has a handful of cases, the other hundreds that lie otherwise."""
    worlds = []
    for name, persons in (("few", (1, 0, 0)), ("many", (180, 3, 40, 25))):
        folder = tmp_path / name
        folder.mkdir()
        others = [label for label in THREE if label != AGENCY]
        found = templates.world(folder, others)
        own = joined(stored(folder / AGENCY, AGENCY, persons), AGENCY)
        worlds.append(World({**found.states, AGENCY: own}, AGREEMENT_TEXT))
    few, many = worlds
    many.clock.now = few.clock.now
    identify([world.states[AGENCY] for world in worlds], few.clock())
    for world in worlds:
        live(world)
    texts = [figures(world).text() for world in worlds]
    assert texts[0] == texts[1]
    assert b"accord_agent_questions" in texts[0]
    live(many)  # the comparison notices a difference where there is one
    assert figures(many).text() != texts[0]


@pytest.fixture
def port() -> Iterator[int]:
    with listening(LOOPBACK, lambda: b"accord_agent_connected 1.0\n") as found:
        yield found


def ask(
    port: int, path: str = "/metrics", method: str = "GET", host: str | None = None
) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, path, headers={"Host": host} if host else {})
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers


def ended(connection: socket.socket) -> bool:
    """Whether the other end has closed it, now or soon."""
    connection.settimeout(10)
    with contextlib.suppress(ConnectionError):
        return connection.recv(1) == b""
    return True


class TestTheListener:
    def test_it_answers_prometheus(self, port: int) -> None:
        status, body, headers = ask(port)
        assert (status, body) == (200, b"accord_agent_connected 1.0\n")
        assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert headers["Cache-Control"] == "no-store"
        assert "Python" not in str(headers)
        assert ask(port, method="HEAD")[:2] == (200, b"")
        assert ask(port, host="localhost")[0] == 200

    @pytest.mark.parametrize(
        ("path", "method", "host", "status"),
        [
            ("/", "GET", None, 404),
            ("/metrics/../metrics", "GET", None, 404),
            ("/metrics", "POST", None, 405),
            ("/metrics", "GET", "evil.example.org", 421),
            ("/metrics", "GET", "evil.example.org:9464", 421),
            ("/metrics", "GET", "127.0.0.1.example.org", 421),
        ],
    )
    def test_nothing_else(
        self, port: int, path: str, method: str, host: str | None, status: int
    ) -> None:
        found, body, _ = ask(port, path, method, host)
        assert found == status
        assert b"accord_agent" not in body

    def test_on_loopback_alone(self, port: int) -> None:
        with socket.create_server(("127.0.0.2", port)):
            assert ask(port)[0] == 200  # the port of another address was free

    def test_a_state_that_cannot_be_read_is_no_traceback(
        self, capfd: pytest.CaptureFixture[str]
    ) -> None:
        raised: list[Exception] = [
            ConfigurationError("STATE_FORMAT", "Secret words."),
            ValueError("Secret words."),
        ]

        def fails() -> bytes:
            raise raised.pop(0)

        with capture_logs() as lines, listening(LOOPBACK, fails) as port:
            for _ in range(2):
                status, body, _ = ask(port)
                assert status == 503
                assert b"ecret" not in body
        assert [line.get("reason") for line in lines] == ["STATE_FORMAT", None]
        assert lines[1]["error_type"] == "ValueError"
        assert "Traceback" not in "".join(capfd.readouterr())

    def test_who_hangs_up_or_talks_nonsense_is_not_heard_of(
        self, port: int, capfd: pytest.CaptureFixture[str]
    ) -> None:
        for content in (b"", b"\x00\xff" * 70_000 + b"\r\n\r\n", b"GET\r\n\r\n"):
            with (
                contextlib.suppress(ConnectionError),
                socket.create_connection(("127.0.0.1", port)) as caller,
            ):
                caller.sendall(content)
        assert ask(port)[0] == 200
        assert "".join(capfd.readouterr()) == ""

    def test_many_who_ask_read_it_once_a_second(self) -> None:
        read, now = itertools.count(), [5.0]
        found = Recent(lambda: str(next(read)).encode(), lambda: now[0])
        assert [found(), found()] == [b"0", b"0"]
        now[0] += 0.9
        assert found() == b"0"
        now[0] += 0.1
        assert [found(), found()] == [b"1", b"1"]

    def test_what_failed_is_read_again(self) -> None:
        answers = iter([b"", b"well"])

        def sometimes() -> bytes:
            found = next(answers)
            if not found:
                raise PreconditionFailed("DATABASE_UNUSABLE", "For a test.")
            return found

        found = Recent(sometimes, lambda: 0.0)
        with pytest.raises(PreconditionFailed):
            found()
        assert found() == b"well"

    def test_so_many_are_connected_and_no_more(
        self, port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        others = threading.active_count()
        with contextlib.ExitStack() as held:
            first = [
                held.enter_context(socket.create_connection(("127.0.0.1", port)))
                for _ in range(MOST_CONNECTIONS)
            ]
            one_more = held.enter_context(
                socket.create_connection(("127.0.0.1", port), timeout=10)
            )
            assert ended(one_more)
            assert threading.active_count() <= others + MOST_CONNECTIONS
            # Who has asked nothing in time makes room for who asks.
            monkeypatch.setattr(listener, "ASKING_SECONDS", 0)
            assert ask(port)[0] == 200
            assert all(ended(each) for each in first)

    def test_who_has_been_answered_holds_no_place(self, port: int) -> None:
        for _ in range(MOST_CONNECTIONS + 2):
            assert ask(port)[0] == 200

    def test_no_other_program_shares_the_port(self, port: int) -> None:
        with socket.socket() as other:
            claim(other)
            with pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", port))

    def test_a_port_that_is_taken(self, port: int) -> None:
        taken = Address("127.0.0.1", port)
        with (
            pytest.raises(ConfigurationError, match=r"\[metrics\]") as caught,
            listening(taken, bytes),
        ):
            pass
        assert caught.value.reason == "PORT_UNAVAILABLE"

    def test_the_port_is_free_again(self) -> None:
        with listening(LOOPBACK, bytes) as port:
            pass
        with listening(Address("127.0.0.1", port), bytes) as again:
            assert again == port


class TestSettings:
    def test_nothing_listens_unless_it_is_said(self, identified: World) -> None:
        state = identified.states[AGENCY]
        with _figures(state, AGENCY, Settings(), Link()) as found:
            assert found is None

    @pytest.mark.parametrize(
        "address", ["127.0.0.1:9999", "[::1]:9999", "localhost:9999", "127.0.0.1"]
    )
    def test_loopback_is_good(self, tmp_path: Path, address: str) -> None:
        config = tmp_path / "config.toml"
        config.write_text(f'[metrics]\naddress = "{address}"\n')
        assert load_settings(config).metrics.address == address

    @pytest.mark.parametrize(
        ("address", "sentence"),
        [
            ('"0.0.0.0:9464"', "only this machine"),
            ('"192.0.2.7:9464"', "only this machine"),
            ('"metrics.example.org:9464"', "only this machine"),
            ('"[::]:9464"', "only this machine"),
            ('"127.0.0.1:99999"', "no HOST:PORT"),
            ('"127.0.0.1:0"', "no HOST:PORT"),
            ('""', "no HOST:PORT"),
            ("9464", "string"),
        ],
    )
    def test_everything_else_is_refused(
        self, tmp_path: Path, address: str, sentence: str
    ) -> None:
        config = tmp_path / "config.toml"
        config.write_text(f"[metrics]\naddress = {address}\n")
        with pytest.raises(ConfigurationError, match=sentence) as caught:
            load_settings(config)
        assert "metrics.address" in caught.value.sentence
        assert "192.0.2.7" not in caught.value.sentence


class TestWhatIsShipped:
    """The page of the documentation and the alerts name what there is."""

    def test_every_figure_is_explained(self, identified: World) -> None:
        names = {name.partition("{")[0] for name in values(figures(identified).text())}
        page = (ROOT / "docs/how-to-agency.md").read_text(encoding="utf-8")
        assert {name for name in names if f"`{name}" not in page} == set()

    def test_alerts_are_about_figures_that_exist(self, identified: World) -> None:
        names = {name.partition("{")[0] for name in values(figures(identified).text())}
        text = (ROOT / "deploy/agent/alerts.yaml").read_text(encoding="utf-8")
        [group] = YAML(typ="safe").load(text)["groups"]
        assert len(group["rules"]) >= 6
        for rule in group["rules"]:
            assert {"alert", "expr", "for", "labels", "annotations"} <= set(rule)
            words = re.split(r"[^a-z_]+", rule["expr"])
            used = {word for word in words if word.startswith("accord_agent_")}
            assert used
            assert used <= names, rule["alert"]
            assert rule["annotations"]["summary"].endswith(".")


def test_an_error_is_ours(tmp_path: Path) -> None:
    """Where nobody has enrolled there is nothing to show, and a sentence says so."""
    state = AgentState.create(tmp_path / "state")
    asked = Figures(
        state,
        agency=AGENCY,
        settings=Settings(),
        link=Link(),
        clock=lambda: datetime.datetime.now(datetime.UTC),
    )
    with pytest.raises(AccordError):
        asked.text()
