# SPDX-License-Identifier: Apache-2.0
"""Nothing of a record leaves its agency: not as text, not as a hash, not by accident.

Every record holds planted words. A relay with the network's own keys ends TLS between
hub, agents and analysts, so what is searched is what both ends hand to TLS; another one
before it sees what a router sees. Then come all files of all states, and all output.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import dataclasses
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import accord.client as accord
from tests.federation import insider
from tests.federation.canaries import (
    birth_dates_in,
    digests_in,
    files_in,
    forms_of_key,
    plain_digests,
    words_in,
)
from tests.federation.network import HOST, Network
from tests.federation.processes import Done
from tests.federation.relays import ByteRelay
from tests.federation.small_world import (
    MAPPING,
    PURPOSE,
    THREE,
    WORDS,
    Case,
    SmallWorld,
)

pytestmark = pytest.mark.federation

ROUTED = "alpha"
"""The agency whose connection is searched: relays show one certificate to the hub."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A network after a day's work, with all that was seen of it."""

    network: Network
    agents: bytes
    """Plain text between hub and agent, both ways."""
    analysts: bytes
    """The same for enrolment and analysts."""
    wire: bytes
    """What lay on the wire below it."""
    output: list[Done]
    """What commands printed."""
    result: accord.Result

    @property
    def logs(self) -> dict[Path, bytes]:
        return files_in(self.network.folder / "logs")


@pytest.fixture(scope="module")
def watched(
    clones: Callable[..., Network],
    world: SmallWorld,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Watched]:
    network, folder = clones(), tmp_path_factory.mktemp("watched")
    own = insider.authority(network)

    def shown() -> tuple[bytes, bytes]:
        stolen = insider.stolen_identity(network, ROUTED)
        return stolen.key, stolen.certificate

    server = insider.server_identity(network)
    plain_agents = ByteRelay(
        network.agent_port, server=server, client=shown, authority=own.pem
    )
    plain_analysts = ByteRelay(network.public_port, server=server, authority=own.pem)
    with contextlib.ExitStack() as stack:
        stack.enter_context(network)
        stack.enter_context(plain_agents)
        stack.enter_context(plain_analysts)
        wire = [
            stack.enter_context(ByteRelay(each.port))
            for each in (plain_agents, plain_analysts)
        ]
        public = f"{HOST}:{wire[1].port}"
        output = [*ingest_what_is_wrong(network, world, folder)]
        network.start_hub()
        output.append(join_again(network, public))
        network.route(ROUTED, wire[0].port)
        network.start_agents(THREE)
        token = network.tokens["ana"]
        with accord.connect(public, token=token) as hub:
            result = ask_everything(hub)
        output.append(
            network.analyst_command(
                "query",
                "-a",
                "three",
                "-b",
                "district",
                "-e",
                "2",
                "-p",
                PURPOSE,
                address=public,
            )
        )
        output.append(network.try_agent_command(ROUTED, "status", "--json"))
        output.append(network.try_hub_command("audit", "show", "--json"))
        yield Watched(
            network=network,
            agents=bytes(plain_agents.sent + plain_agents.received),
            analysts=bytes(plain_analysts.sent + plain_analysts.received),
            wire=b"".join(bytes(each.sent + each.received) for each in wire),
            output=output,
            result=result,
        )


def join_again(network: Network, address: str) -> Done:
    """Enrol the agent once more, through the relay."""
    _, token = insider.new_token(network, ROUTED)
    return network.try_agent_command(
        *(ROUTED, "enrol", "--hub", address, "--token", token),
        *("--board", network.board_words),
    )


def ingest_what_is_wrong(
    network: Network, world: SmallWorld, folder: Path
) -> Iterator[Done]:
    """Let an agency's staff make all the mistakes that put names in wrong places."""
    cases = world.cases[ROUTED]
    wrong = folder / "wrong.csv"
    with wrong.open("w", encoding="utf-8", newline="") as file:
        names = [field.name for field in dataclasses.fields(Case)]
        table = csv.DictWriter(file, names)
        table.writeheader()
        for case in cases:
            table.writerow(dataclasses.asdict(case))
            name = f"{case.given_name} {case.family_name}"
            for column in ("district", "registered", "gender", "harm", "days"):
                spoilt = dataclasses.asdict(case) | {column: name}
                spoilt["case_number"] += column
                table.writerow(spoilt)
    ragged = folder / "ragged.csv"
    text = wrong.read_text(encoding="utf-8").splitlines()
    ragged.write_text("\n".join([*text[:3], text[3] + ',"Zanthrabel', *text[4:]]))
    latin = folder / "latin.csv"
    latin.write_bytes(world.sources[ROUTED][0].read_bytes() + b"Zanthrabel\xff,,,\n")
    swapped = folder / "swapped.csv"
    swapped.write_text("\n".join(text[3:9]), encoding="utf-8")
    mapping = folder / "cases.yaml"
    mapping.write_text(MAPPING, encoding="utf-8")
    model = network.model("small-v1")
    options = ("--mapping", str(mapping), "--model", str(model))
    yield network.try_agent_command(ROUTED, "check", *options, str(wrong), "--json")
    for path in (wrong, ragged, latin, swapped):
        yield network.try_agent_command(ROUTED, "ingest", *options, str(path))


def ask_everything(hub: accord.Hub) -> accord.Result:
    """Use what there is to use."""
    hub.agreements()
    three = hub.agreement("three")
    three.describe()
    with pytest.raises(accord.PolicyDenied):
        three.persons().by("gender").release(epsilon=1, purpose="gossip")
    with pytest.raises(accord.InvalidQuery):
        three.persons().where(district="nirgends").release(epsilon=1, purpose=PURPOSE)
    three.cases().by("harm", "gender", "registered_month").release(
        epsilon=1, purpose=PURPOSE
    )
    result = three.persons().by("district").release(epsilon=2, purpose=PURPOSE)
    three.budget()
    list(hub.releases())
    return result


@pytest.fixture(scope="module")
def pseudonyms(watched: Watched) -> set[bytes]:
    """Every keyed hash that the agency's store holds."""
    found: set[bytes] = set()
    for path in watched.network.agent_state(ROUTED).rglob("*.npy"):
        if path.name in {"order_key.npy", "persons.npy"}:
            found |= {each.tobytes() for each in np.load(path)}
    return found


def assert_clean(content: bytes, where: object) -> None:
    assert not words_in(content), where
    assert not birth_dates_in(content), where


class TestTheSearchItself:
    """It finds what is there, so finding nothing means something."""

    def test_in_the_sources(self, world: SmallWorld) -> None:
        content = world.sources[ROUTED][0].read_bytes()
        assert words_in(content) >= {*WORDS, "Ольга", "Quillfeather"}
        assert len(birth_dates_in(content)) > 100
        for encoding in ("utf-16-le", "utf-16-be"):
            again = content.decode().upper().encode(encoding)
            assert words_in(again) >= {*WORDS, "Ольга"}
        assert words_in(content.hex().encode()) >= set(WORDS)

    @pytest.mark.parametrize("before", range(3))
    def test_in_base64(self, before: int) -> None:
        text = "x" * before + "to Zanthrabel and Ольга about it"
        coded = base64.b64encode(text.encode())
        assert words_in(coded) == {"Zanthrabel", "Ольга"}

    def test_of_hashes(self, watched: Watched, pseudonyms: set[bytes]) -> None:
        found = [
            digests_in(content, pseudonyms)
            for path, content in files_in(watched.network.agent_state(ROUTED)).items()
            if path.name in {"persons.npy", "order_key.npy"}
        ]
        assert all(found)
        assert digests_in(b"abc" + max(pseudonyms).hex().encode(), pseudonyms)

    def test_on_the_wire(self, watched: Watched) -> None:
        """The relays saw the conversation, and routers did not."""
        for content in (watched.agents, watched.analysts):
            assert b"registered_month" in content
            assert b"small-v1" in content
        assert watched.wire
        for word in (b"registered_month", b"small-v1", b"accord.v1", b"alpha"):
            assert word not in watched.wire


class TestNothingLeaves:
    def test_no_byte_between_hub_and_agents(
        self, watched: Watched, world: SmallWorld, pseudonyms: set[bytes]
    ) -> None:
        digests = plain_digests(world.cases[ROUTED][:60]) | pseudonyms
        for name in ("agents", "analysts", "wire"):
            content = getattr(watched, name)
            assert_clean(content, name)
            assert not digests_in(content, digests)

    def test_no_file_of_the_hub(
        self, watched: Watched, world: SmallWorld, pseudonyms: set[bytes]
    ) -> None:
        """Database, its journal, policies, settings: not even as a hash."""
        files = files_in(watched.network.hub_state)
        assert {"hub.db", "hub.db-wal", "config.toml"} <= {each.name for each in files}
        digests = plain_digests(world.cases[ROUTED][:60]) | pseudonyms
        for path, content in files.items():
            assert_clean(content, path.name)
            assert not digests_in(content, digests), path.name

    def test_no_log_line(
        self, watched: Watched, world: SmallWorld, pseudonyms: set[bytes]
    ) -> None:
        digests = plain_digests(world.cases[ROUTED][:60]) | pseudonyms
        assert len(watched.logs) == 2 * (1 + len(THREE))
        for path, content in watched.logs.items():
            assert_clean(content, path.name)
            assert not digests_in(content, digests), path.name

    def test_no_command_prints_it(self, watched: Watched) -> None:
        """Reports and errors of an ingest have columns, rows and counts."""
        failed = [each for each in watched.output if each.code]
        assert len(failed) == 3
        for done in watched.output:
            assert_clean((done.out + done.err).encode(), done)
            assert "Traceback" not in done.err

    def test_no_file_of_the_agent_has_it_as_text(
        self, watched: Watched, world: SmallWorld
    ) -> None:
        """The agency's own store holds codes and keyed hashes."""
        digests = plain_digests(world.cases[ROUTED][:60])
        for label in (ROUTED, "bravo"):
            files = files_in(watched.network.agent_state(label))
            assert any(path.suffix == ".parquet" for path in files)
            for path, content in files.items():
                assert_clean(content, path.name)
                assert not digests_in(content, digests), path.name


class TestSecretsOfPrograms:
    def test_keys_stay_in_their_files(self, watched: Watched) -> None:
        network = watched.network
        places = {
            "hub": network.hub_state,
            **{label: network.agent_state(label) for label in THREE},
        }
        keys = {
            path: path.read_bytes()
            for place in places.values()
            for path in (place / "keys").iterdir()
            if path.suffix == ".key"
        }
        assert len(keys) >= 2 + 3 * len(THREE)
        searched = files_in(network.hub_state) | watched.logs
        for label in THREE:
            searched |= files_in(network.agent_state(label))
        searched |= {
            Path("agents"): watched.agents,
            Path("analysts"): watched.analysts,
        }
        for source, key in keys.items():
            body = key.split(b"\n")[1] if key.startswith(b"-----") else key
            for path, content in searched.items():
                if path != source:
                    for form in forms_of_key(body):
                        assert form not in content, (source.name, path.name)

    def test_seeds_that_were_revealed_are_in_no_file_of_the_hub(
        self, watched: Watched
    ) -> None:
        """It has them in memory until the sum is opened; the wire carries them once."""
        network = watched.network
        revealed = "SELECT seed FROM round WHERE state = 'revealed'"
        seeds = [seed for (seed,) in network.agent_rows(ROUTED, revealed)]
        assert len(seeds) > 1
        searched = files_in(network.hub_state) | watched.logs
        for seed in seeds:
            assert watched.agents.count(seed) == 1
            for path, content in searched.items():
                assert seed not in content, path.name

    def test_tokens_stay_out_of_logs_and_database(self, watched: Watched) -> None:
        """They are on the wire, inside TLS, where they belong."""
        token = watched.network.tokens["ana"].encode()
        assert token not in watched.wire
        for content in (
            *watched.logs.values(),
            *files_in(watched.network.hub_state).values(),
        ):
            assert token not in content

    def test_what_analysts_type_is_in_no_log(self, watched: Watched) -> None:
        """Lines have ids and reasons; not values that somebody filtered by."""
        assert b"nirgends" in watched.analysts
        for content in watched.logs.values():
            for word in (b"nirgends", b"gossip", b"registered_month", b"district"):
                assert word not in content


def test_no_agency_s_figures_are_anywhere(watched: Watched, world: SmallWorld) -> None:
    """Neither one agency's vector nor the exact sum: on no wire, in no file.

    Agencies mask what they send, and keep nothing but what they sent. What was
    published, noise included, is found in the hub's database, as it must be.
    """
    network, cells = watched.network, [row.values[0] for row in watched.result]

    def vector(agencies: tuple[str, ...]) -> bytes:
        truth = world.persons(agencies, lambda case: (case.district,))
        return struct.pack(f"<{len(cells)}q", *(4 * truth.get((c,), 0) for c in cells))

    searched = files_in(network.hub_state) | watched.logs
    for label in THREE:
        searched |= files_in(network.agent_state(label))
    searched |= {
        Path("agents"): watched.agents,
        Path("analysts"): watched.analysts,
        Path("wire"): watched.wire,
    }
    for agencies in ((ROUTED,), ("bravo",), ("charlie",), THREE):
        for path, content in searched.items():
            assert vector(agencies)[:40] not in content, path.name
    noisy = "SELECT noisy FROM releases WHERE id = ?"
    published = network.rows(noisy, watched.result.id)[0][0]
    assert any(published[:40] in content for content in searched.values())


def test_an_ingest_that_is_killed_leaves_no_copy_for_the_next(
    watched: Watched, world: SmallWorld, tmp_path: Path
) -> None:
    """Its private copy of the source goes when the next command takes the store."""
    network = watched.network
    scratch = network.agent_state(ROUTED) / "scratch" / "left-by-a-crash"
    scratch.mkdir(mode=0o700)
    (scratch / "copy.csv").write_bytes(world.sources[ROUTED][0].read_bytes())
    mapping = tmp_path / "cases.yaml"
    mapping.write_text(MAPPING, encoding="utf-8")
    model = network.model("small-v1")
    options = ("--mapping", str(mapping), "--model", str(model))
    source = str(world.sources[ROUTED][0])
    assert network.try_agent_command(ROUTED, "ingest", *options, source).code == 0
    assert not list((network.agent_state(ROUTED) / "scratch").iterdir())
