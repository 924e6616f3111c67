# SPDX-License-Identifier: Apache-2.0
"""Questions over a whole network: what comes back, what it costs, what is refused."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
import scipy.stats

import accord.client as accord
from accord.core.whole_error import LARGEST_DROPPED_SHARE, dropped_share
from accord.v1 import analyst_pb2
from tests.federation.network import Network
from tests.federation.small_world import (
    AGENCIES,
    MONTHS,
    PURPOSE,
    THREE,
    Case,
    SmallWorld,
    gender_of,
    province_of,
)

pytestmark = pytest.mark.federation

FALSE_ALARM = 1e-9


@pytest.fixture(scope="module")
def network(clones: Callable[..., Network]) -> Iterator[Network]:
    with clones().start() as running:
        yield running


@pytest.fixture(scope="module")
def hub(network: Network) -> Iterator[accord.Hub]:
    with network.connect() as connection:
        yield connection


def month_of(case: Case) -> str:
    return case.registered[:7]


def assert_plausible(
    result: accord.Result, truth: Mapping[tuple[str, ...], int]
) -> None:
    """Fail where estimates and truth are not as far apart as the noise lets them be.

    Each cell is within 7 standard deviations, and no fewer intervals hold the truth
    than at their stated level chance would allow.
    """
    assert sum(truth.values()) == sum(truth.get(row.values, 0) for row in result)
    inside = 0
    for row in result:
        exact, found = truth.get(row.values, 0), row.estimate
        assert found.estimate is not None
        assert found.sd is not None
        assert found.lower is not None
        assert found.upper is not None
        assert abs(found.estimate - exact) < 7 * found.sd, row
        inside += found.lower <= exact <= found.upper
    least = scipy.stats.binom.ppf(FALSE_ALARM, len(result), result.level)
    assert inside >= least


def raw_reply(hub: accord.Hub, submission: str) -> analyst_pb2.Reply:
    """Return what the hub says of a submission, as it came over the wire."""
    wire = hub._wire
    request = analyst_pb2.GetSubmissionRequest(id=submission)
    response = wire.call(wire.stub.GetSubmission, request)
    assert response.submission.state == analyst_pb2.SUBMISSION_STATE_RELEASED
    return response.submission.reply


class TestAnswers:
    def test_persons_by_two_dimensions_at_two_levels(
        self, hub: accord.Hub, world: SmallWorld
    ) -> None:
        result = (
            hub.agreement("three")
            .persons()
            .by("registered_month", district="province")
            .release(epsilon=8, purpose=PURPOSE)
        )
        assert result.by == ("district", "registered_month")
        truth = world.persons(THREE, lambda case: (province_of(case), month_of(case)))
        assert_plausible(result, truth)
        persons = result.persons
        assert persons.estimate is not None
        assert persons.sd is not None
        off = persons.estimate - world.count_persons(THREE)
        assert abs(off) < 7 * persons.sd
        assert result.dropped.estimate is not None
        assert abs(result.dropped.estimate) < 7 * persons.sd

    def test_cases_with_filters(self, hub: accord.Hub, world: SmallWorld) -> None:
        result = (
            hub.agreement("three")
            .cases()
            .by("gender")
            .where(district="north", registered_month=["2025-Q3", "2025-12"])
            .release(epsilon=8, purpose=PURPOSE)
        )
        months = {"2025-07", "2025-08", "2025-09", "2025-12"}
        truth = world.count_cases(
            THREE,
            lambda case: (
                (gender_of(case),)
                if province_of(case) == "north" and month_of(case) in months
                else ()
            ),
        )
        assert_plausible(
            result, {cell: number for cell, number in truth.items() if cell}
        )

    def test_cases_of_a_quarter_follow_from_those_of_its_months(
        self, hub: accord.Hub, world: SmallWorld, network: Network
    ) -> None:
        """For nothing, unless the noise says that the bound left too much out."""
        cases = hub.agreement("three").cases()
        finer = cases.by("registered_month", "gender").release(
            epsilon=8, purpose=PURPOSE
        )
        spent = network.charged()
        question = cases.by(registered_month="quarter")
        counted = sum(row.estimate.estimate or 0.0 for row in finer)
        left_out = finer.dropped.estimate or 0.0
        if dropped_share(counted, left_out) > LARGEST_DROPPED_SHARE:
            with pytest.raises(accord.PreconditionFailed) as refused:
                question.derived(purpose=PURPOSE)
            assert refused.value.reason == "NOT_DERIVABLE"
            return
        price = question.price(epsilon=1, purpose=PURPOSE)
        assert price.derivable_from == finer.id
        found = question.release(epsilon=1, purpose=PURPOSE, accept_derived=True)
        assert found.derived_from == finer.id
        assert network.charged() == spent
        whole = {month: f"{month[:4]}-Q{(int(month[5:]) + 2) // 3}" for month in MONTHS}
        truth = world.count_cases(THREE, lambda case: (whole[month_of(case)],))
        assert_plausible(found, truth)

    def test_five_agencies_and_no_dimension(
        self, hub: accord.Hub, world: SmallWorld
    ) -> None:
        result = hub.agreement("five").persons().release(epsilon=10, purpose=PURPOSE)
        assert result.coverage.answered == AGENCIES
        assert not result.coverage.missing
        assert_plausible(result, {(): world.count_persons(AGENCIES)})

    def test_laplace_noise_under_pure_accounting(
        self, hub: accord.Hub, world: SmallWorld
    ) -> None:
        """The agreement has its own calendar and its own way to account."""
        result = (
            hub.agreement("pure")
            .persons()
            .by("gender")
            .release(epsilon=9, purpose=PURPOSE)
        )
        assert result.mechanism == "discrete-laplace"
        assert "-Q" in result.edition
        assert result.cost.epsilon <= 9
        # the tail of a Laplace law is heavy: 16 standard deviations are 1.5e-10
        truth = world.persons(THREE, lambda case: (gender_of(case),))
        for row in result:
            assert row.estimate.estimate is not None
            assert row.estimate.sd is not None
            off = row.estimate.estimate - truth.get(row.values, 0)
            assert abs(off) < 16 * row.estimate.sd

    def test_a_very_wide_answer_arrives_whole(
        self, hub: accord.Hub, world: SmallWorld
    ) -> None:
        """12,832 cells, of which all but a few are empty."""
        result = (
            hub.agreement("three")
            .persons()
            .by("parish", "district", "gender")
            .release(epsilon=6, purpose=PURPOSE)
        )
        assert len(result) == 401 * 8 * 4
        truth = world.persons(
            THREE, lambda case: (case.district, gender_of(case), "unknown")
        )
        assert_plausible(result, truth)

    def test_describe_tells_what_there_is(self, hub: accord.Hub) -> None:
        found = hub.agreement("three").describe()
        due = datetime.datetime.now(datetime.UTC).date().replace(day=1)
        due -= datetime.timedelta(days=1)
        assert found.editions == (f"{due:%Y-%m}",)
        levels = {each.name: each.levels for each in found.dimensions}
        assert levels["district"]["province"] == ("north", "south", "unknown")
        assert "2025-Q1-??" in levels["registered_month"]["month"]


class TestMoney:
    def test_the_budget_moves_by_exactly_the_cost(
        self, network: Network, hub: accord.Hub
    ) -> None:
        """At the hub in every account concerned, and in each agency's own ledger."""
        question = hub.agreement("three").persons().by("district", "gender")
        price = question.price(epsilon=2, purpose=PURPOSE)
        before, own = network.charged(), _own_ledgers(network)
        result = question.release(epsilon=2, purpose=PURPOSE)
        after, own_after = network.charged(), _own_ledgers(network)
        paid = round(result.cost.rho * 1e9)
        assert result.charged == result.cost == price.cost
        assert not network.reserved()
        accounts = ["agreement/three"]
        accounts += [f"agreement/three/{each}" for each in ("analyst/ana", "analysts")]
        accounts += [f"agency/{label}" for label in THREE]
        moved = {name: after[name] - before.get(name, 0) for name in after}
        assert {name: amount for name, amount in moved.items() if amount} == (
            dict.fromkeys(accounts, paid)
        )
        assert {label: own_after[label] - own[label] for label in AGENCIES} == {
            label: paid if label in THREE else 0 for label in AGENCIES
        }

    def test_a_repeat_is_free_and_has_the_same_bytes(
        self, network: Network, hub: accord.Hub
    ) -> None:
        """Also in another order, with a filter that keeps all, and less accurate."""
        three = hub.agreement("three")
        first, again = str(uuid.uuid4()), str(uuid.uuid4())
        paid = (
            three.persons()
            .by("gender", "registered_month")
            .release(epsilon=4, purpose=PURPOSE, submission_id=first)
        )
        before, own = network.charged(), _own_ledgers(network)
        repeat = (
            three.persons()
            .by("registered_month:month", "gender")
            .where(district=["north", "south", "unknown"])
            .release(epsilon=1.5, purpose="service planning", submission_id=again)
        )
        assert repeat.from_archive
        assert repeat.charged.epsilon == repeat.charged.rho == 0
        assert repeat.cost == paid.cost
        assert raw_reply(hub, first).release == raw_reply(hub, again).release
        stored = {
            raw_reply(hub, name).release.SerializeToString() for name in (first, again)
        }
        assert len(stored) == 1
        assert (network.charged(), _own_ledgers(network)) == (before, own)

    def test_a_more_accurate_ask_is_a_new_release(
        self, network: Network, hub: accord.Hub
    ) -> None:
        question = hub.agreement("three").cases().by("district")
        coarse = question.release(epsilon=1, purpose=PURPOSE)
        fine = question.release(epsilon=2, purpose=PURPOSE)
        assert fine.id != coarse.id
        assert not fine.from_archive
        assert fine.noise_scale < coarse.noise_scale
        assert hub.release(coarse.id).rows == coarse.rows

    def test_the_same_id_is_the_same_question(
        self, network: Network, hub: accord.Hub
    ) -> None:
        question = hub.agreement("three").cases().by("gender")
        name = str(uuid.uuid4())
        first = question.release(epsilon=1, purpose=PURPOSE, submission_id=name)
        charged = network.charged()
        again = question.release(epsilon=1, purpose=PURPOSE, submission_id=name)
        assert again == first
        assert again.charged == first.cost
        for other, epsilon, purpose in (
            (question, 2, PURPOSE),
            (question, 1, "service planning"),
            (question.by("district"), 1, PURPOSE),
        ):
            with pytest.raises(accord.Conflict) as caught:
                other.release(epsilon=epsilon, purpose=purpose, submission_id=name)
            assert caught.value.reason == "SUBMISSION_ID_USED"
        assert network.charged() == charged

    def test_a_refused_question_costs_nothing(
        self, network: Network, hub: accord.Hub
    ) -> None:
        charged, own = network.charged(), _own_ledgers(network)
        events = network.rows("SELECT count(*) FROM ledger_event")
        three = hub.agreement("three")
        with pytest.raises(accord.PolicyDenied) as denied:
            three.persons().by("district").release(epsilon=1, purpose="gossip")
        assert denied.value.metadata["codes"] == "deny.purpose"
        with pytest.raises(accord.PolicyDenied):
            three.persons().by("district").release(epsilon=11, purpose=PURPOSE)
        with pytest.raises(accord.InvalidQuery):
            three.persons().by("distrikt").release(epsilon=1, purpose=PURPOSE)
        assert (network.charged(), _own_ledgers(network)) == (charged, own)
        assert network.rows("SELECT count(*) FROM ledger_event") == events
        assert not network.reserved()

    def test_a_spent_budget_stays_spent(
        self, network: Network, hub: accord.Hub
    ) -> None:
        scarce = hub.agreement("scarce")
        paid = scarce.persons().by("gender").release(epsilon=1, purpose=PURPOSE)
        charged = network.charged()
        with pytest.raises(accord.BudgetExhausted) as exhausted:
            scarce.persons().by("district").release(epsilon=1, purpose=PURPOSE)
        assert exhausted.value.exit_code == 5
        assert network.charged() == charged
        assert scarce.budget().accounts[0].left_share < 0.01
        # what was paid for can still be read, and asked again
        again = scarce.persons().by("gender").release(epsilon=1, purpose=PURPOSE)
        assert again.id == paid.id
        assert again.charged.epsilon == 0

    def test_two_who_ask_the_same_at_once_pay_once(
        self, network: Network, hub: accord.Hub
    ) -> None:
        """Whoever comes second follows the first, or is served from the archive."""
        before = network.charged()
        with network.connect("ben") as other:
            pending = [
                each.agreement("three")
                .cases()
                .by("harm")
                .release(epsilon=1, purpose=PURPOSE, wait=False)
                for each in (hub, other)
            ]
            results = [each.wait(timeout=30) for each in pending]
        assert results[0].id == results[1].id
        assert sorted(each.from_archive for each in results) == [False, True]
        after = network.charged()
        rho = round(results[0].cost.rho * 1e9)
        assert after["agreement/three"] - before.get("agreement/three", 0) == rho

    def test_a_rush_buys_what_the_budget_holds_and_no_more(
        self, network: Network, hub: accord.Hub
    ) -> None:
        """Twelve different questions at the same moment, of two analysts."""
        rush = hub.agreement("rush")
        one = rush.cases().price(epsilon=1, purpose=PURPOSE).cost.rho
        cap = rush.budget().accounts[0].cap.rho
        affordable = int(cap / one)
        assert 1 < affordable < 12
        with network.connect("ben") as other, ThreadPoolExecutor(12) as pool:
            asking = [
                pool.submit(
                    each.agreement("rush")
                    .cases()
                    .where(registered_month=month)
                    .release,
                    epsilon=1,
                    purpose=PURPOSE,
                )
                for each, month in zip([hub, other] * 6, MONTHS, strict=True)
            ]
            failures = [each.exception() for each in asking]
        refused = [each for each in failures if each is not None]
        assert all(isinstance(each, accord.BudgetExhausted) for each in refused)
        assert len(failures) - len(refused) == affordable
        charged = network.charged()["agreement/rush"]
        assert charged == affordable * round(one * 1e9) <= round(cap * 1e9)
        assert not network.reserved()

    def test_the_ledger_holds_together(self, network: Network, hub: accord.Hub) -> None:
        """`ledger show` verifies the whole history; agents agree with the hub."""
        for name in ("three", "pure"):
            question = hub.agreement(name).cases().where(registered_month="2025-05")
            question.release(epsilon=1, purpose=PURPOSE)
        shown = network.hub_command("ledger", "show")
        assert shown["height"] > 0
        charged = {
            (each["account"], each["unit"]): each["charged"]
            for each in shown["accounts"]
        }
        for label in THREE:
            lifetime = network.agent_command(label, "status")["lifetime"]
            for unit in ("nano-rho", "nano-epsilon"):
                place = f"agency/{label}", unit
                assert lifetime[unit]["spent"] == charged.get(place, 0)


def _own_ledgers(network: Network) -> dict[str, int]:
    """Return what each agency's own lifetime account holds in nano-rho."""
    sql = (
        "SELECT coalesce(sum(used), 0) FROM ledger_account "
        "WHERE unit = 'nano-rho' AND name = ?"
    )
    return {
        label: network.agent_rows(label, sql, f"agency/{label}")[0][0]
        for label in AGENCIES
    }
