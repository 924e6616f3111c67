# SPDX-License-Identifier: Apache-2.0
"""Who gets in, who does not, and what the others are told."""

from __future__ import annotations

import asyncio
import datetime
import shutil
import socket
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import grpc
import pytest

import accord.client as accord
from accord.agent.network.enrol import enrol as join
from accord.agent.network.identity import IdentityFiles
from accord.agent.state import AgentState
from accord.core._version import __version__
from accord.core.decide import Analyst
from accord.hub.identity import registry
from accord.rpc import pki
from accord.rpc.address import Address, parse_address
from accord.rpc.channel import agent_channel, analyst_channel, enrolment_channel
from accord.rpc.status import error_of
from accord.rpc.tokens import TokenKind, mint, parse
from accord.v1 import agent_pb2, agent_pb2_grpc, analyst_pb2, analyst_pb2_grpc
from tests.federation import insider
from tests.federation.network import HOST, Network
from tests.federation.processes import Done, free_port, run, wait_until
from tests.federation.small_world import AGREEMENTS, PURPOSE, THREE

pytestmark = pytest.mark.federation


@pytest.fixture(scope="module")
def network(clones: Callable[..., Network]) -> Iterator[Network]:
    with clones().start(THREE) as running:
        yield running


@pytest.fixture
def hub(network: Network) -> Iterator[accord.Hub]:
    with network.connect() as connection:
        yield connection


def known_state(network: Network, state: Path, label: str = "echo") -> AgentState:
    """Make the state of an agent on another machine, with the key that is signed."""
    keys = state / "keys"
    for folder in (state, keys):
        folder.mkdir(exist_ok=True, mode=0o700)
    own = network.agent_state(label) / "keys" / "agency.key"
    if not (keys / "agency.key").exists():
        shutil.copy(own, keys / "agency.key")
    return AgentState.create(state)


def enrol_in(network: Network, made: AgentState, token: str) -> str:
    """Join as an agent with a state of its own; return as whom."""
    joined = join(
        IdentityFiles(made.keys),
        Address(HOST, network.public_port),
        token,
        agency_key=made.agency_key(),
        policies=made.policies,
        confirm=lambda _board, _known: None,
    )
    return joined.agency


def enrol(network: Network, state: Path, token: str, label: str = "echo") -> str:
    """Join with the key of an agency, from a machine of its own."""
    return enrol_in(network, known_state(network, state, label), token)


def assert_refused(done: Done, code: int, *words: str) -> None:
    """Fail unless a command ended with *code* and one sentence that has *words*."""
    assert done.code == code, done.err
    assert not done.out
    said = " ".join(done.err.split())
    for word in words:
        assert word in said
    assert "Traceback" not in said
    assert said.endswith((".", "?"))


class TestEnrolment:
    def test_a_token_works_once(self, network: Network, tmp_path: Path) -> None:
        """The second agent is told that somebody may have used it before."""
        _, token = insider.new_token(network, "echo")
        first, second = tmp_path / "first", tmp_path / "second"
        assert enrol(network, first, token) == "echo"
        known_state(network, second)
        where = [
            *("--hub", network.address, "--state", str(second)),
            *("--board", network.board_words),
        ]
        done = run("agent", "enrol", "--token", token, *where, settings={})
        assert_refused(done, 4, "used before", "only")
        assert not (second / "keys" / "identity.pem").exists()
        # the same agent may ask again: its first answer may have got lost
        assert enrol(network, first, token) == "echo"

    @pytest.mark.parametrize(
        ("kind", "foreign", "reason"),
        [
            (TokenKind.ENROLMENT, False, "TOKEN_UNKNOWN"),
            (TokenKind.ENROLMENT, True, "WRONG_AUTHORITY"),
            (TokenKind.ANALYST, False, "TOKEN_WRONG_KIND"),
        ],
        ids=["unknown", "of-another-hub", "of-an-analyst"],
    )
    def test_a_wrong_token_opens_nothing(
        self,
        network: Network,
        tmp_path: Path,
        kind: TokenKind,
        foreign: bool,
        reason: str,
    ) -> None:
        """One of another hub is noticed before anything is sent to this one."""
        own = insider.authority(network).fingerprint
        token = mint(kind, bytes(32) if foreign else own)
        before = network.rows("SELECT count(*) FROM certificates")
        with pytest.raises(accord.Unauthenticated) as refused:
            enrol(network, tmp_path / "state", str(token))
        assert refused.value.reason == reason
        assert refused.value.exit_code == 4
        assert network.rows("SELECT count(*) FROM certificates") == before

    def test_a_mistyped_token_is_told_apart(
        self, network: Network, tmp_path: Path
    ) -> None:
        with pytest.raises(accord.Unauthenticated) as refused:
            enrol(network, tmp_path / "state", "accord_e1_abc")
        assert refused.value.reason == "TOKEN_MALFORMED"

    def test_a_revoked_token_is_gone(self, network: Network, tmp_path: Path) -> None:
        name, token = insider.new_token(network, "echo")
        with insider.writing(network) as tx:
            registry.revoke_token(tx, name, now=insider.utc_now())
        with pytest.raises(accord.Unauthenticated) as refused:
            enrol(network, tmp_path / "state", token)
        assert refused.value.reason == "TOKEN_REVOKED"

    def test_a_stolen_token_is_worth_nothing_without_the_agencys_key(
        self, network: Network, tmp_path: Path
    ) -> None:
        """Whose key the board did not sign gets no certificate, and uses none up."""
        _, token = insider.new_token(network, "echo")
        thief = AgentState.create(tmp_path / "thief")
        with pytest.raises(accord.PolicyDenied) as refused:
            enrol_in(network, thief, token)
        assert refused.value.reason == "MEMBER_KEY_UNLISTED"
        assert enrol(network, tmp_path / "echo", token) == "echo"

    def test_the_wrong_words_join_nobody(
        self, network: Network, tmp_path: Path
    ) -> None:
        """Staff who were told of another board pin nothing, and keep the token."""
        _, token = insider.new_token(network, "echo")
        state = known_state(network, tmp_path / "state")
        words = " ".join(reversed(network.board_words.split()))
        where = ("--hub", network.address, "--state", str(state.root))
        done = run(
            *("agent", "enrol", "--token", token, *where, "--board", words),
            settings={},
        )
        assert_refused(done, 4, "another fingerprint", network.board_words)
        assert enrol(network, state.root, token) == "echo"

    def test_there_is_no_token_for_strangers(self, network: Network) -> None:
        done = network.try_hub_command("token", "create", "ecko")
        assert_refused(done, 2, "Did you mean 'echo'?")


async def streams(
    identity: insider.ClientIdentity, network: Network
) -> AsyncIterator[agent_pb2.ConnectResponse]:
    """Yield what the hub says on an agent's stream."""

    async def said() -> AsyncIterator[agent_pb2.ConnectRequest]:
        hello = agent_pb2.Hello(agent_version=__version__)
        yield agent_pb2.ConnectRequest(hello=hello)
        while True:
            await forever.wait()

    forever = asyncio.Event()
    async with agents_channel(identity, network) as channel:
        call = agent_pb2_grpc.AgentServiceStub(channel).Connect(said())
        try:
            async for message in call:
                yield message
        except grpc.RpcError as error:
            raise error_of(error) from None


def agents_channel(
    identity: insider.ClientIdentity, network: Network
) -> grpc.aio.Channel:
    place = Address(HOST, network.agent_port)
    return agent_channel(place, identity.authority, identity.key, identity.certificate)


class TestCertificates:
    @pytest.mark.slow
    async def test_a_stream_ends_when_its_certificate_does(
        self, network: Network
    ) -> None:
        identity = insider.short_lived(network, "echo", 3)
        messages = streams(identity, network)
        assert (await anext(messages)).HasField("welcome")
        with pytest.raises(accord.Unauthenticated) as ended:
            async for _ in messages:
                pass
        assert ended.value.reason == "CERTIFICATE_EXPIRED"
        # and does not open again
        with pytest.raises(accord.Unreachable):
            await anext(streams(identity, network))

    def test_an_agent_whose_certificate_has_ended_says_so(
        self, network: Network
    ) -> None:
        """It does not run, and tells its staff what to do."""
        keys = network.agent_state("echo") / "keys"
        kept = (keys / "identity.pem").read_bytes()
        identity = insider.short_lived(network, "echo", 1, renew=True)
        certificate = pki.load_certificate(identity.certificate, "it")
        wait_until(
            lambda: insider.utc_now() > pki.expiry_of(certificate), "it has ended"
        )
        assert_refused(
            network.try_agent_command("echo", "run"), 4, "ended at", "enrol` again"
        )
        (keys / "identity.pem").write_bytes(kept)

    def test_a_certificate_renews_itself(self, network: Network) -> None:
        """At two thirds of its life, and the agent stays."""
        identity = insider.short_lived(network, "delta", 6, renew=True)
        network.start_agent("delta")
        agent = network.agents["delta"]
        agent.wait_line("certificate.renewed", seconds=10)
        wait_until(
            lambda: sum(x["event"] == "connection.opened" for x in agent.lines()) > 1,
            "it connects again with the new one",
        )
        now = insider.stolen_identity(network, "delta").certificate
        renewed = pki.load_certificate(now, "the new one")
        assert pki.expiry_of(renewed) > insider.utc_now() + datetime.timedelta(hours=1)
        assert now != identity.certificate
        assert agent.stop() == 0

    def test_a_revoked_agency_is_cut_off_and_a_new_token_lets_it_in(
        self, network: Network
    ) -> None:
        """Its stream ends, it gets no other, and no new certificate either."""
        agent = network.agents["charlie"]
        network.hub_command("member", "revoke", "charlie")
        lost = agent.wait_line("connection.lost", seconds=5)
        assert lost["reason"] == "CERTIFICATE_REVOKED"
        wait_until(
            lambda: sum(x["event"] == "connection.lost" for x in agent.lines()) > 1,
            "it tries again in vain",
        )
        assert agent.stop() == 0
        stolen = insider.stolen_identity(network, "charlie")
        request = agent_pb2.RenewRequest(
            certificate_request=pki.certificate_request(
                pki.load_key(stolen.key, "stolen")
            )
        )
        for method, message in (
            ("Renew", request),
            (
                "FetchPolicy",
                agent_pb2.FetchPolicyRequest(path="metadata/timestamp.json"),
            ),
        ):
            with pytest.raises(accord.PolicyDenied) as denied:
                call_agents(network, stolen, method, message)
            assert denied.value.reason == "CERTIFICATE_REVOKED"
        _, token = insider.new_token(network, "charlie")
        state = network.agent_state("charlie")
        assert enrol(network, state, token, "charlie") == "charlie"
        network.start_agent("charlie")

    def test_a_foreign_or_missing_certificate_gets_no_connection(
        self, network: Network
    ) -> None:
        own = insider.authority(network)
        key, foreign = pki.new_authority("test-network", insider.utc_now())
        agent = pki.new_key()
        forged = pki.issue(
            key,
            foreign,
            pki.certificate_request(agent),
            label="alpha",
            network="test-network",
            lifetime=datetime.timedelta(hours=1),
            now=insider.utc_now(),
        )
        identity = insider.ClientIdentity(
            authority=own.pem,
            key=pki.key_pem(agent),
            certificate=pki.certificate_pem(forged),
        )
        message = agent_pb2.FetchPolicyRequest(path="metadata/timestamp.json")
        with pytest.raises(accord.Unreachable):
            call_agents(network, identity, "FetchPolicy", message)
        where = Address(HOST, network.agent_port)
        with enrolment_channel(where, own.pem) as channel:
            stub = agent_pb2_grpc.AgentServiceStub(channel)
            with pytest.raises(grpc.RpcError) as nobody:
                stub.FetchPolicy(message, timeout=10)
        assert isinstance(error_of(nobody.value), accord.Unreachable)

    def test_a_certificate_that_the_hub_does_not_remember_is_none(
        self, network: Network
    ) -> None:
        """Who holds a copy of the authority's key cannot invent agencies unseen."""
        own = insider.authority(network)
        agent = pki.new_key()
        unknown = own.issue(
            pki.certificate_request(agent),
            agency="alpha",
            network="test-network",
            lifetime=datetime.timedelta(hours=1),
            now=insider.utc_now(),
        )
        identity = insider.ClientIdentity(
            authority=own.pem,
            key=pki.key_pem(agent),
            certificate=pki.certificate_pem(unknown),
        )
        message = agent_pb2.FetchPolicyRequest(path="metadata/timestamp.json")
        with pytest.raises(accord.PolicyDenied):
            call_agents(network, identity, "FetchPolicy", message)


def call_agents(
    network: Network, identity: insider.ClientIdentity, method: str, message: object
) -> object:
    """Call the agents' port in the name of an agency."""
    credentials = grpc.ssl_channel_credentials(
        identity.authority, identity.key, identity.certificate
    )
    options = (("grpc.ssl_target_name_override", pki.SERVER_NAME),)
    target = f"{HOST}:{network.agent_port}"
    with grpc.secure_channel(target, credentials, options=options) as channel:
        stub = agent_pb2_grpc.AgentServiceStub(channel)
        try:
            answer: object = getattr(stub, method)(message, timeout=10)
        except grpc.RpcError as error:
            raise error_of(error) from None
    return answer


class TestPolicies:
    def test_an_agency_reads_what_concerns_it(self, network: Network) -> None:
        stolen = insider.stolen_identity(network, "alpha")
        files = network.repository.files
        own = {name for name in files if "closed" not in name}
        assert {name.split(".")[-2] for name in own} >= {"members", "three", "small-v1"}
        for name in own:
            message = agent_pb2.FetchPolicyRequest(path=name)
            found = call_agents(network, stolen, "FetchPolicy", message)
            assert isinstance(found, agent_pb2.FetchPolicyResponse)
            assert found.content == files[name]

    def test_and_not_the_agreements_of_others(self, network: Network) -> None:
        """What is for others looks like what does not exist."""
        stolen = insider.stolen_identity(network, "alpha")
        (closed,) = [name for name in network.repository.files if "closed" in name]
        other = closed.replace("closed", "nothing")
        for name in (closed, other):
            message = agent_pb2.FetchPolicyRequest(path=name)
            with pytest.raises(accord.NotFound) as unknown:
                call_agents(network, stolen, "FetchPolicy", message)
            assert unknown.value.reason == "POLICY_UNKNOWN"

    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("metadata/900.targets.json", accord.NotFound),
            ("proposals/0.json", accord.NotFound),
            ("../keys/ca.key", accord.InvalidQuery),
            ("/etc/hostname", accord.InvalidQuery),
        ],
    )
    def test_and_nothing_else(
        self, network: Network, path: str, kind: type[accord.AccordError]
    ) -> None:
        """Only names of signed files are names."""
        stolen = insider.stolen_identity(network, "alpha")
        message = agent_pb2.FetchPolicyRequest(path=path)
        with pytest.raises(kind):
            call_agents(network, stolen, "FetchPolicy", message)


class TestAnalysts:
    def test_who_is_no_recipient_sees_nothing(
        self, network: Network, hub: accord.Hub
    ) -> None:
        """Neither agreements nor releases; nor what somebody else has asked."""
        name = str(uuid.uuid4())
        paid = (
            hub.agreement("three")
            .persons()
            .by("harm")
            .release(epsilon=1, purpose=PURPOSE, submission_id=name)
        )
        with network.connect("zoe") as other:
            assert other.agreements() == []
            assert list(other.releases()) == []
            for agreement in ("three", "nothing"):
                question = other.agreement(agreement)
                with pytest.raises(accord.NotFound) as unknown:
                    question.describe()
                assert unknown.value.reason == "AGREEMENT_UNKNOWN"
                assert unknown.value.sentence == (
                    f"There is no agreement {agreement!r} that you may ask under."
                )
                with pytest.raises(accord.NotFound):
                    question.persons().release(epsilon=1, purpose=PURPOSE)
                with pytest.raises(accord.NotFound):
                    question.budget()
            for identifier in (name, paid.id):
                with pytest.raises(accord.NotFound):
                    other.release(identifier)
        with network.connect("ben") as colleague:
            # a recipient may read what was published, but not who asked for it
            assert colleague.release(paid.id).rows == paid.rows
            with pytest.raises(accord.NotFound):
                colleague.release(name)

    def test_an_agreement_for_other_roles_is_none(self, hub: accord.Hub) -> None:
        names = {each.name for each in hub.agreements()}
        assert names == AGREEMENTS.keys() - {"closed"}
        with pytest.raises(accord.NotFound):
            hub.agreement("closed").describe()

    def test_a_revoked_token_ends_at_once(self, network: Network) -> None:
        token = mint(TokenKind.ANALYST, insider.authority(network).fingerprint)
        eve = Analyst(
            id="eve", organisation="observatory", roles=frozenset({"analyst"})
        )
        now = insider.utc_now()
        with insider.writing(network) as tx:
            registry.add_analyst(tx, eve, token.secret_digest(), now=now)
        with accord.connect(network.address, token=str(token)) as connection:
            assert connection.agreements()
            network.hub_command("analyst", "revoke", "eve")
            with pytest.raises(accord.Unauthenticated) as ended:
                connection.agreements()
        assert ended.value.reason == "TOKEN_UNKNOWN"

    def test_tokens_of_others_open_nothing(self, network: Network) -> None:
        """Unknown, for enrolment, or of another hub: not even the first."""
        own = insider.authority(network).fingerprint
        unknown = str(mint(TokenKind.ANALYST, own))
        with (
            accord.connect(network.address, token=unknown) as connection,
            pytest.raises(accord.Unauthenticated) as refused,
        ):
            connection.agreements()
        assert refused.value.reason == "TOKEN_UNKNOWN"
        foreign = str(mint(TokenKind.ANALYST, bytes(32)))
        with pytest.raises(accord.Unauthenticated) as intercepted:
            accord.connect(network.address, token=foreign)
        assert intercepted.value.reason == "WRONG_AUTHORITY"
        with pytest.raises(accord.Unauthenticated):
            accord.connect(network.address, token=insider.new_token(network, "echo")[1])

    def test_an_agency_is_no_analyst_and_an_analyst_no_agency(
        self, network: Network
    ) -> None:
        """Neither a certificate nor a token opens what is for the other."""
        stolen = insider.stolen_identity(network, "alpha")
        options = (("grpc.ssl_target_name_override", pki.SERVER_NAME),)
        credentials = grpc.ssl_channel_credentials(
            stolen.authority, stolen.key, stolen.certificate
        )
        request = analyst_pb2.ListAgreementsRequest()
        reasons = []
        for port in (network.public_port, network.agent_port):
            target = f"{HOST}:{port}"
            with grpc.secure_channel(target, credentials, options=options) as channel:
                stub = analyst_pb2_grpc.AnalystServiceStub(channel)
                with pytest.raises(grpc.RpcError) as refused:
                    stub.ListAgreements(request, timeout=10)
                reasons.append(error_of(refused.value).reason)
        assert reasons == ["TOKEN_REQUIRED", "CALL_UNKNOWN"]
        token = parse(network.tokens["ana"], TokenKind.ANALYST)
        place = Address(HOST, network.public_port)
        with analyst_channel(place, stolen.authority, token) as channel:
            agents = agent_pb2_grpc.AgentServiceStub(channel)
            with pytest.raises(grpc.RpcError) as closed:
                agents.FetchPolicy(
                    agent_pb2.FetchPolicyRequest(path="metadata/timestamp.json"),
                    timeout=10,
                )
        assert error_of(closed.value).reason == "CALL_UNKNOWN"


class TestPlaces:
    def test_nobody_there(self, network: Network, tmp_path: Path) -> None:
        """Every command says where it looked, and that nothing answers."""
        nowhere = f"{HOST}:{free_port()}"
        done = network.analyst_command("agreements", address=nowhere)
        assert_refused(done, 6, nowhere)
        _, token = insider.new_token(network, "echo")
        made = known_state(network, tmp_path / "state")
        with pytest.raises(accord.Unreachable) as nobody:
            join(
                IdentityFiles(made.keys),
                parse_address(nowhere),
                token,
                agency_key=made.agency_key(),
                policies=made.policies,
                confirm=lambda _board, _known: None,
            )
        assert nowhere in nobody.value.sentence

    def test_nothing_is_said_without_tls(self, network: Network) -> None:
        """Neither to who speaks the protocol in the clear nor to who babbles."""
        for port in (network.public_port, network.agent_port):
            with grpc.insecure_channel(f"{HOST}:{port}") as channel:
                stub = analyst_pb2_grpc.AnalystServiceStub(channel)
                with pytest.raises(grpc.RpcError) as refused:
                    stub.ListAgreements(analyst_pb2.ListAgreementsRequest(), timeout=10)
                assert isinstance(error_of(refused.value), accord.Unreachable)
            for babble in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 4096, b"\x16\x03\x01"):
                with socket.create_connection((HOST, port), timeout=10) as connection:
                    connection.sendall(babble)
        with network.connect() as hub:
            assert hub.agreements()

    def test_one_state_has_one_hub_and_one_agent(self, network: Network) -> None:
        """A second one would ask, or answer, everything twice."""
        assert_refused(network.try_hub_command("serve"), 3, "serves the hub")
        done = network.try_agent_command("alpha", "run")
        assert_refused(done, 4, "answers from")

    @pytest.mark.slow
    def test_no_command_shows_a_secret(self, network: Network) -> None:
        """Lists have names and dates; the database has digests only."""
        token = network.token("echo")
        shown = [
            network.try_hub_command(*words, "--json").out
            for words in (("token", "list"), ("analyst", "list"), ("audit", "show"))
        ]
        database = b"".join(
            path.read_bytes() for path in network.hub_state.glob("hub.db*")
        )
        for text in (token, *network.tokens.values()):
            assert not any(text in each for each in shown)
            assert text.encode() not in database
            assert parse(text).secret not in database
