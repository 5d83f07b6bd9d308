"""From configuration to parts: what one part of a service's file means for another."""

from __future__ import annotations

from bluegreen.config.schema import Service
from bluegreen.ports import Enough
from bluegreen.wiring import _placed, demands, enough, setup_of

LISTENER = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/web/50dc6c495c0c9188/f2f7dc8efc522ab2"


def service(**more: object) -> Service:
    document: dict[str, object] = {
        "service": "web",
        "environments": {"blue": {"url": "http://b"}, "green": {"url": "http://g"}},
        "switch_points": [
            {
                "kind": "elbv2",
                "region": "eu-west-1",
                "listener": LISTENER,
                "target_groups": {"blue": "web-blue", "green": "web-green"},
                "endpoint_url": "http://127.0.0.1:5000",
                "role": "arn:aws:iam::123456789012:role/switch",
            }
        ],
        "deploy": {"kind": "command", "run": ["true"], "idempotent": True},
    }
    return Service.model_validate(document | more)


def test_an_alarm_lives_where_the_first_elbv2_switch_point_does_unless_it_says_otherwise() -> None:
    made = service(
        gates=[
            {"name": "errors", "cloudwatch_alarm": "web-5xx"},
            {"name": "there", "cloudwatch_alarm": "web-5xx", "region": "us-east-1"},
            {"name": "other", "cloudwatch_alarm": "web-5xx", "role": "arn:aws:iam::1:role/alarms"},
        ]
    )
    errors, there, other = (_placed(gate, made) for gate in made.gates)
    assert (errors.region, errors.endpoint_url) == ("eu-west-1", "http://127.0.0.1:5000")
    assert errors.role == "arn:aws:iam::123456789012:role/switch"
    assert (there.region, there.endpoint_url, there.role) == ("us-east-1", None, None)
    assert (other.region, other.role) == ("eu-west-1", "arn:aws:iam::1:role/alarms")


def test_a_setup_says_what_the_core_needs_and_a_way_back_to_all_of_it() -> None:
    setup = setup_of(service(shift={"steps": ["5%", "100%"], "wait": "approve"}, bake="2m", keep_warm="1h"))
    assert (setup.deployment.steps, setup.deployment.wait_seconds) == ((50, 1000), None)
    assert (setup.deployment.bake_seconds, setup.deployment.keep_warm_seconds) == (120.0, 3600.0)
    assert setup.deployment.deploy_again
    assert (setup.failback.steps, setup.failback.bake_seconds) == ((1000,), 0.0)
    assert setup.environments == ("blue", "green")


def test_what_a_switch_takes_of_its_credentials_counts_each_wait_that_is_planned_there_and_back() -> None:
    planned = {"bake": "15m", "keep_warm": "4h", "failback": {"steps": ["50%", "100%"], "wait": "5m"}}
    timed = demands(service(shift={"steps": ["5%", "50%", "100%"], "wait": "10m"}, **planned))
    at_once = demands(service(shift={"steps": ["100%"]}, bake="0s", keep_warm="0s"))
    assert timed.seconds - at_once.seconds == (2 * 10 + 15 + 5) * 60
    assert (timed.kept, timed.endless) == (4 * 3600, False)
    assert timed.back - at_once.back == 5 * 60


def test_an_approval_that_is_waited_for_has_no_end() -> None:
    assert demands(service(shift={"steps": ["5%", "100%"], "wait": "approve"})).endless
    assert not demands(service(shift={"steps": ["100%"], "wait": "approve"})).endless  # nothing is waited for


def test_a_minimum_is_a_count_or_a_share() -> None:
    assert (enough(2), enough("50%")) == (Enough(count=2), Enough(share=500))
    assert [enough("50%").of(registered) for registered in (0, 1, 2, 3)] == [1, 1, 1, 2]
    assert enough("100%").of(4) == 4
