"""The plan of a drain, with a clock that the test moves: the table, the presets of three balancers, the rate."""

from itertools import count

import pytest

from pycast.balance.drain_plan import STEPS, DrainEvent, DrainPlan, DrainState
from pycast.config.schema import DrainSection

# docs/behind-a-balancer.md has these.
PRESETS = {
    "HAProxy": DrainSection(readiness="fail", lead=30.0),
    "ALB": DrainSection(readiness="fail", lead=30.0),
    "Kubernetes": DrainSection(readiness="fail", lead=30.0),
    "NLB": DrainSection(readiness="hold", lead=150.0),
}
TICK_S = 0.1


def run(settings: DrainSection, listeners: int, moved_after: float = 0.0) -> list[tuple[float, DrainState, int]]:
    """Runs a drain to its end. Returns (seconds since its start, state, listeners left) after each step."""
    plan, seen = DrainPlan(), []
    plan.begin(settings, 1000.0)
    for tick in count():
        now = tick * TICK_S
        listeners -= plan.step(1000.0 + now, listeners, now >= settings.lead + moved_after)
        seen.append((now, plan.state, listeners))
        if plan.state is DrainState.DONE:
            return seen
    raise AssertionError


@pytest.mark.parametrize("state", DrainState)
@pytest.mark.parametrize("event", DrainEvent)
def test_every_state_knows_its_events_and_no_other(state: DrainState, event: DrainEvent) -> None:
    plan = DrainPlan()
    plan.state = state
    if event in STEPS[state]:
        plan._move(event)
        assert plan.state is STEPS[state][event]
    else:
        with pytest.raises(KeyError):
            plan._move(event)


@pytest.mark.parametrize("state", [state for state in DrainState if state is not DrainState.SERVING])
def test_from_every_state_a_drain_can_be_cancelled_and_from_every_state_but_the_last_ends_in_time(
    state: DrainState,
) -> None:
    assert STEPS[state][DrainEvent.CANCEL] is DrainState.SERVING
    assert state is DrainState.DONE or STEPS[state][DrainEvent.DEADLINE] is DrainState.DONE


@pytest.mark.parametrize("name", PRESETS)
def test_lb_16_no_listener_is_dropped_before_the_lead_is_over(name: str) -> None:
    seen = run(PRESETS[name], 5000)
    assert {left for now, _, left in seen if now < PRESETS[name].lead} == {5000}
    assert {state for now, state, _ in seen if now < PRESETS[name].lead} == {DrainState.LEAD}


@pytest.mark.parametrize("name", PRESETS)
def test_lb_16_readiness_fails_or_holds_as_the_balancer_needs_it(name: str) -> None:
    plan, settings = DrainPlan(), PRESETS[name]
    assert plan.is_ready
    plan.begin(settings, 0.0)
    for now in (0.0, settings.lead, settings.lead + 1, settings.deadline):
        plan.step(now, 100, True)
        assert plan.is_ready == (name == "NLB"), plan.state
    plan.cancel()
    assert plan.is_ready


@pytest.mark.parametrize("name", PRESETS)
def test_lb_17_listeners_are_dropped_at_a_constant_rate(name: str) -> None:
    settings = PRESETS[name]
    for now, state, left in run(settings, 5000):
        if state is DrainState.LEAVING:
            line = 5000 * (1 - settings.rate * (now - settings.lead))
            assert abs(left - line) <= 5000 * settings.rate * TICK_S + 1


@pytest.mark.parametrize("name", PRESETS)
def test_lb_17_all_have_gone_when_the_rate_says_so(name: str) -> None:
    settings = PRESETS[name]
    now, _, left = run(settings, 5000)[-1]
    assert left == 0
    assert now == pytest.approx(settings.lead + 1 / settings.rate, abs=1)


def test_lb_17_listeners_wait_until_sources_and_mirrors_have_moved() -> None:
    seen = run(DrainSection(lead=5.0), 1000, moved_after=7.0)
    assert {left for now, _, left in seen if now < 12.0} == {1000}
    assert {state for now, state, _ in seen if 5.1 < now < 12.0} == {DrainState.MOVING}


@pytest.mark.parametrize(
    ("settings", "moved_after"),
    [
        (DrainSection(lead=5.0, rate=0.001, deadline=20.0), 0.0),
        (DrainSection(lead=5.0, deadline=20.0), 1e9),
        (DrainSection(lead=50.0, deadline=20.0), 0.0),
    ],
    ids=["slow rate", "what does not move", "long lead"],
)
def test_lb_17_the_deadline_holds(settings: DrainSection, moved_after: float) -> None:
    now, state, left = run(settings, 5000, moved_after)[-1]
    assert (state, left) == (DrainState.DONE, 0)
    assert now == pytest.approx(20.0, abs=TICK_S)


def test_lb_17_a_node_that_stood_still_does_not_drop_the_missed_listeners_at_once() -> None:
    plan = DrainPlan()
    plan.begin(DrainSection(lead=0.0), 0.0)
    plan.step(0.0, 5000, True)
    assert plan.step(30.0, 5000, True) == 100
    plan.give_back(100)
    plan.give_back(100)
    assert plan.step(30.1, 5000, True) == 110


def test_few_listeners_do_not_take_a_minute() -> None:
    assert run(DrainSection(lead=0.0), 5)[-1][0] <= 6.0


def test_listeners_that_join_meanwhile_are_dropped_at_the_same_rate() -> None:
    plan, listeners, now = DrainPlan(), 100, 0.0
    plan.begin(DrainSection(lead=0.0, rate=0.1), now)
    plan.step(now, listeners, True)
    listeners += 1000
    for _ in range(50):
        now += TICK_S
        gone = plan.step(now, listeners, True)
        assert gone <= 2
        listeners -= gone
    assert listeners == pytest.approx(1050, abs=2)


def test_a_second_begin_changes_nothing_and_hurry_ends_the_lead() -> None:
    plan = DrainPlan()
    plan.begin(DrainSection(lead=30.0), 0.0)
    plan.begin(DrainSection(lead=300.0), 10.0)
    assert plan.progress(10.0, 7).next_s == 20.0
    plan.hurry(10.0)
    plan.step(10.0, 7, False)
    assert plan.state is DrainState.MOVING
    plan.hurry(20.0)
    assert plan.state is DrainState.MOVING


def test_progress_says_what_is_left() -> None:
    plan = DrainPlan()
    assert plan.progress(5.0, 3).deadline_s == 0.0
    plan.begin(DrainSection(lead=0.0, rate=0.1, deadline=60.0), 0.0)
    plan.step(0.0, 500, True)
    plan.step(1.0, 500, True)
    progress = plan.progress(1.0, 450)
    assert (progress.state, progress.listeners, progress.of) == (DrainState.LEAVING, 450, 500)
    assert (progress.next_s, progress.deadline_s) == (0.0, 59.0)
