# SPDX-License-Identifier: Apache-2.0
"""A whole network for tests: a hub and several agents, the real commands as processes.

Loopback, mutual TLS, SQLite, ingest through DuckDB: what an operator and agencies would
run, set up as they would do it, under policies that a board of three has signed. The
test writes policies, mappings and sources::

    with Network.build(folder, blueprint) as network:
        with network.connect("ana") as hub:
            hub.agreement("regional").persons().by("district").release(...)
        network.hub.kill()
        network.start_hub()
        network.agents["alpha"].freeze()

Leaving the ``with`` stops every process by its id and checks all logs. A network that
was stopped can be cloned into another folder, on other ports, which takes a tenth of
the time of building it: tests that spend, revoke or kill work on a clone of their own.
State and logs are in the folder, which pytest keeps when a test fails.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import accord.client as accord
from accord.agent.policies import AgencyPolicies, policies_of
from accord.agent.state import AgentState
from accord.core.policy import PolicySet, load_policy_set
from accord.trust.proposal import Proposal
from accord.trust.proposal_file import to_file
from accord.trust.repository import Repository, root_digest
from accord.trust.words import six_words
from tests import policies
from tests.federation.processes import Done, Process, free_port, run, wait_until

HOST = "127.0.0.1"

_AT_ONCE = 4
"""Commands that are started together; more only wait for each other's processor."""

Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """What a network is made of; texts are YAML as people write it."""

    agreements: Mapping[str, str]
    """By name, which is also the name of the file."""
    models: Mapping[str, str]
    """The same for data models."""
    members: str
    """Text of ``members.yaml``, without keys."""
    mappings: Mapping[str, str]
    """The mapping of every agency that has an agent."""
    sources: Mapping[str, Sequence[Path]]
    """The files that each of them ingests."""
    analysts: Mapping[str, tuple[str, tuple[str, ...]]] = dataclasses.field(
        default_factory=lambda: {"ana": ("observatory", ("analyst",))}
    )
    """Organisation and roles by id."""
    presets: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Presets that agreements extend."""
    board: policies.Board = policies.THREE
    """Who signs."""
    keyless: Sequence[str] = ()
    """Agencies whose key the board does not put into ``members.yaml``."""
    signatories: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Names of the keys with which parties sign agreements of their own."""
    unsafe: bool = False
    """Lift all caps, at the hub and in the agents."""
    hub_environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Settings of the hub, as ``ACCORD_HUB_ANSWER_WITHIN_SECONDS``."""
    agent_environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Settings of all agents, as ``ACCORD_AGENT_LIFETIME__ZCDP__EPSILON``."""

    @property
    def labels(self) -> list[str]:
        """Agencies with an agent."""
        return list(self.mappings)

    def hub_settings(self) -> dict[str, str]:
        unsafe = {"ACCORD_HUB_UNSAFE_TEST_MODE": "true"} if self.unsafe else {}
        return {**unsafe, **self.hub_environment}

    def agent_settings(self) -> dict[str, str]:
        unsafe = {"ACCORD_AGENT_UNSAFE_TEST_MODE": "true"} if self.unsafe else {}
        return {**unsafe, **self.agent_environment}

    def documents(self) -> dict[str, str]:
        """Return the texts by the paths that a board signs."""
        found = {"members.yaml": self.members}
        for kind, texts in (
            ("models", self.models),
            ("presets", self.presets),
            ("agreements", self.agreements),
        ):
            found |= {f"{kind}/{name}.yaml": text for name, text in texts.items()}
        return found


class Network:
    """One hub and its agents; use it in a ``with``."""

    def __init__(self, folder: Path, blueprint: Blueprint) -> None:
        """Name everything; `build` and `clone` make it."""
        self.folder = folder
        self.blueprint = blueprint
        self.public_port = free_port()
        self.agent_port = free_port()
        self.tokens: dict[str, str] = {}
        """Tokens of the analysts."""
        self.hub = Process(
            "hub",
            "hub",
            ["serve", "--state", str(self.hub_state)],
            logs=folder / "logs",
            settings=blueprint.hub_settings(),
        )
        self.agents = {
            label: Process(
                label,
                "agent",
                ["run", "--state", str(self.agent_state(label))],
                logs=folder / "logs",
                settings=blueprint.agent_settings(),
            )
            for label in blueprint.labels
        }

    @property
    def hub_state(self) -> Path:
        return self.folder / "hub"

    def agent_state(self, label: str) -> Path:
        return self.folder / "agents" / label

    @property
    def address(self) -> str:
        """Where analysts find the hub."""
        return f"{HOST}:{self.public_port}"

    @classmethod
    def build(cls, folder: Path, blueprint: Blueprint) -> Self:
        """Set everything up and start it; every agency has its editions then."""
        network = cls(folder, blueprint)
        try:
            network._make_hub()
            network.start_hub()
            _each(blueprint.labels, network._join)
            _each(blueprint.analysts, network._add_analyst)
            wait_until(network._has_editions, "every agency announces its editions")
        except BaseException:
            network.kill()
            raise
        return network

    def clone(self, folder: Path, **changes: Any) -> Network:  # noqa: ANN401
        """Copy the state of this stopped network; nothing of the copy runs yet.

        Args:
            folder: where the copy goes.
            changes: entries of the blueprint that are other ones in the copy; what is
                on disk already (policies, sources) is copied as it is.
        """
        running = [each.name for each in self._processes() if each.is_running]
        assert not running, f"only a stopped network can be cloned: {running}"
        copy = Network(folder, dataclasses.replace(self.blueprint, **changes))
        shutil.copytree(self.hub_state, copy.hub_state)
        for label in self.blueprint.labels:
            target = copy.agent_state(label)
            shutil.copytree(self.agent_state(label), target, symlinks=True)
            copy.route(label, copy.agent_port)
        copy._set_ports()
        copy.tokens = dict(self.tokens)
        return copy

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.kill()
            return
        self.stop()

    def start(self, labels: Iterable[str] | None = None) -> Self:
        """Start the hub and agents (all, or those named) of a stopped network."""
        try:
            self.start_hub()
            self.start_agents(self.blueprint.labels if labels is None else labels)
        except BaseException:
            self.kill()
            raise
        return self

    def start_hub(self) -> None:
        """Start the hub and return when it serves."""
        self.hub.start()
        self.hub.wait_line("hub.ready")

    def start_agent(self, label: str) -> None:
        """Start an agent and return when the hub has welcomed it."""
        self.start_agents([label])

    def start_agents(self, labels: Iterable[str]) -> None:
        """Start agents at the same time."""
        chosen = [self.agents[label] for label in labels]
        for agent in chosen:
            agent.start()
        for agent in chosen:
            agent.wait_line("connection.opened")

    def stop(self) -> None:
        """Stop everything that runs, as an operator would, and check the logs."""
        try:
            for process in self._processes():
                if process.is_running:
                    code = process.stop()
                    assert code == 0, f"{process.name} ended with {code}"
        finally:
            self.kill()
        for process in self._processes():
            process.check_logs()

    def kill(self) -> None:
        """End everything that still runs."""
        for process in self._processes():
            if process.is_running:
                process.kill()

    def connect(self, analyst: str = "ana") -> accord.Hub:
        """Return a connection of an analyst, to be closed."""
        return accord.connect(self.address, token=self.tokens[analyst])

    def hub_command(self, *arguments: str) -> dict[str, Any]:
        """Run a command of the hub that must succeed; return its JSON."""
        return self.try_hub_command(*arguments, "--json").json()

    def try_hub_command(self, *arguments: str) -> Done:
        """Run a command of the hub."""
        state = ("--state", str(self.hub_state))
        return run("hub", *arguments, *state, settings=self.hub.settings)

    def agent_command(self, label: str, *arguments: str) -> dict[str, Any]:
        """Run a command of an agent that must succeed; return its JSON."""
        return self.try_agent_command(label, *arguments, "--json").json()

    def try_agent_command(self, label: str, *arguments: str) -> Done:
        """Run a command of an agent."""
        state = ("--state", str(self.agent_state(label)))
        return run("agent", *arguments, *state, settings=self.agents[label].settings)

    def analyst_command(
        self, *arguments: str, analyst: str = "ana", address: str | None = None
    ) -> Done:
        """Run the command ``accord`` of an analyst."""
        settings = {
            "ACCORD_HUB": address or self.address,
            "ACCORD_TOKEN": self.tokens[analyst],
        }
        return run("client", *arguments, settings=settings)

    def token(self, label: str) -> str:
        """Return a new enrolment token for an agency."""
        return str(self.hub_command("token", "create", label)["token"])

    def enrol(self, label: str) -> None:
        """Let an agency join with a new token; its staff knows the board's words."""
        self.agent_command(label, "enrol", *self.join_options(label))

    def join_options(self, label: str) -> tuple[str, ...]:
        """Return the options with which an agency joins."""
        hub = ("--hub", self.address, "--token", self.token(label))
        return (*hub, "--board", self.board_words)

    # What the board does

    @property
    def repository(self) -> Repository:
        """What is signed and lies at the hub."""
        return policies.repository_in(self.hub_state / "policies")

    @property
    def board_words(self) -> str:
        """By which a board knows its root, and agencies know the board."""
        return six_words(root_digest(self.repository.root()))

    def in_force(self) -> PolicySet:
        """Return what the hub's repository says."""
        return load_policy_set(self.repository.documents())

    def version(self) -> int:
        """Return the version of the policies that lie at the hub."""
        return self.repository.version

    def propose(
        self,
        changes: policies.Changes,
        **options: Any,  # noqa: ANN401
    ) -> Proposal:
        """Return a change of the policies in force, signed.

        Args:
            changes: new texts by path; None takes a document away.
            options: `board`, `signers` and `keys` of `tests.policies.proposed`.
        """
        return policies.proposed(
            self.repository,
            changes,
            **{"board": self.blueprint.board, "now": _now(), **options},
        )

    def edit(self, path: str, *replacements: tuple[str, str]) -> dict[str, bytes]:
        """Return a change of one document, for `propose`."""
        return {path: policies.edited(self.repository, path, *replacements)}

    def publish(self, proposal: Proposal) -> dict[str, Any]:
        """Put a change in force, as the hub's operator does; a hub that runs has it."""
        done = self.hub_command("policies", "publish", str(self._written(proposal)))
        if self.hub.is_running:
            version = done["policies_version"]
            self.hub.wait_line("policies.changed", policy_version=version)
        return done

    def try_publish(self, proposal: Proposal) -> Done:
        """Try to."""
        return self.try_hub_command("policies", "publish", str(self._written(proposal)))

    def decide(
        self,
        changes: policies.Changes,
        **options: Any,  # noqa: ANN401
    ) -> int:
        """Let the board change something and return the version of the policies."""
        self.publish(self.propose(changes, **options))
        return self.version()

    def wait_learned(self, version: int, labels: Iterable[str]) -> None:
        """Return once agents have accepted policies of that version."""
        for label in labels:
            wait_until(
                lambda label=label: self.agent_version(label) >= version,  # type: ignore[misc]  # bound now
                f"{label} has accepted version {version}",
            )

    def agent_version(self, label: str) -> int:
        """Return the version of the policies that an agency has accepted."""
        view = self.agent_policies(label).view()
        return 0 if view is None else view.version

    def agent_policies(self, label: str) -> AgencyPolicies:
        """Return what an agency believes of policies, as ``status`` shows it."""
        return policies_of(AgentState.open(self.agent_state(label)))

    def _written(self, proposal: Proposal) -> Path:
        place = self.folder / f"proposal-{proposal.id[:16]}.json"
        place.write_bytes(to_file(proposal))
        return place

    def route(self, label: str, port: int) -> None:
        """Let an agent find the hub at another port of loopback, from its next start.

        A relay that listens there sees all that the two say to each other.
        """
        content = {"agency": label, "hub": f"{HOST}:{port}"}
        place = self.agent_state(label) / "keys" / "hub.json"
        place.write_text(json.dumps(content), encoding="utf-8")

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Look into the hub's database."""
        return look_into(self.hub_state / "hub.db", sql, *parameters)

    def agent_rows(
        self, label: str, sql: str, *parameters: object
    ) -> list[tuple[Any, ...]]:
        """Look into an agent's database."""
        return look_into(self.agent_state(label) / "agent.db", sql, *parameters)

    def charged(self, unit: str = "nano-rho") -> dict[str, int]:
        """Return what every account of the hub was charged for good."""
        return self._accounts("used - reserved", unit)

    def reserved(self, unit: str = "nano-rho") -> dict[str, int]:
        """Return what every account of the hub holds for questions that go on."""
        return self._accounts("reserved", unit)

    def _accounts(self, column: str, unit: str) -> dict[str, int]:
        sql = f"SELECT name, {column} FROM ledger_account WHERE unit = ?"
        return {name: amount for name, amount in self.rows(sql, unit) if amount}

    def _processes(self) -> list[Process]:
        return [*self.agents.values(), self.hub]

    def model(self, name: str) -> Path:
        """Return the file of a data model, as a board hands it to agencies."""
        place = self.folder / "models" / f"{name}.yaml"
        place.parent.mkdir(exist_ok=True)
        place.write_text(self.blueprint.models[name], encoding="utf-8")
        return place

    def _make_hub(self) -> None:
        """Do what an operator and a board do before anybody can join."""
        ports = ["--public-port", str(self.public_port)]
        ports += ["--agent-port", str(self.agent_port)]
        named = re.search(r"^network:\s*(\S+)", self.blueprint.members, re.MULTILINE)
        assert named is not None, "members.yaml names the network"
        network = ("--network", named[1])
        self.hub_command("init", *network, "--host", HOST, "--listen", HOST, *ports)
        labels = self.blueprint.labels
        keys = dict(zip(labels, _each(labels, self._make_agent), strict=True))
        own = self.hub_command("keys")
        proposal = policies.founding(
            self.blueprint.documents(),
            hub_key=own["key"],
            freshness_key=own["freshness"],
            agencies={
                label: each
                for label, each in keys.items()
                if label not in self.blueprint.keyless
            },
            signatories={
                label: policies.key(name)
                for label, name in self.blueprint.signatories.items()
            },
            board=self.blueprint.board,
            now=_now(),
        )
        self.publish(proposal)

    def _make_agent(self, label: str) -> dict[str, str]:
        """Make an agent's state and return the lines of its entry."""
        made = self.agent_command(label, "init")
        lines = {"key": made["agency_key"]}
        lines |= {name: made[name] for name in ("exchange", "kem") if made.get(name)}
        return lines

    def _join(self, label: str) -> None:
        """Do what an agency's staff does: enrol, ingest, run."""
        self.enrol(label)
        self._ingest(label)
        self.start_agent(label)

    def _ingest(self, label: str) -> None:
        text = self.blueprint.mappings[label]
        mapping = self.folder / "agents" / f"{label}.mapping.yaml"
        mapping.write_text(text, encoding="utf-8")
        named = re.search(r"^data_model:\s*(\S+)", text, re.MULTILINE)
        assert named is not None, "a mapping names its data model"
        model = self.model(named[1])
        sources = [str(path) for path in self.blueprint.sources[label]]
        options = ("--mapping", str(mapping), "--model", str(model))
        self.agent_command(label, "ingest", *options, *sources)

    def _add_analyst(self, name: str) -> None:
        organisation, roles = self.blueprint.analysts[name]
        options = ["--organisation", organisation]
        for role in roles:
            options += ["--role", role]
        added = self.hub_command("analyst", "add", name, *options)
        self.tokens[name] = added["token"]

    def _has_editions(self) -> bool:
        found = dict(self.rows("SELECT agency, count(*) FROM editions GROUP BY agency"))
        loaded = self.in_force().agreements.values()
        due = {
            label: len(
                {
                    (each.form.editions.every, each.form.editions.embargo)
                    for each in loaded
                    if label in each.parties
                }
            )
            for label in self.blueprint.labels
        }
        return all(found.get(label, 0) >= number for label, number in due.items())

    def _set_ports(self) -> None:
        place = self.hub_state / "config.toml"
        text = place.read_text(encoding="utf-8")
        for name, port in (
            ("public_port", self.public_port),
            ("agent_port", self.agent_port),
        ):
            text = re.sub(rf"(?m)^{name} = \d+$", f"{name} = {port}", text)
        place.write_text(text, encoding="utf-8")


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def look_into(database: Path, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Read from a SQLite file that somebody else may be writing."""
    source = f"file:{database}?mode=ro"
    with contextlib.closing(
        sqlite3.connect(source, uri=True, timeout=30)
    ) as connection:
        return connection.execute(sql, parameters).fetchall()


@contextlib.contextmanager
def locked(database: Path) -> Iterator[None]:
    """Be the only writer of a SQLite file; whoever wants to write waits here."""
    with contextlib.closing(
        sqlite3.connect(database, timeout=30, isolation_level=None)
    ) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


def _each(items: Iterable[Item], work: Callable[[Item], Made]) -> list[Made]:
    """Do *work* for all items, some at the same time."""
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return list(pool.map(work, items))
