import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from botocore import exceptions as aws

from bluegreen.aws import READ_BURST, READS_PER_SECOND, Life, Sessions, Where, endpoint_of, role_session_name, translate
from bluegreen.errors import (
    AccessDenied,
    BalancerError,
    CredentialsEnded,
    OutcomeUnknown,
    Rejected,
    Throttled,
    Unreachable,
)
from tests.balancers.aws_rig import REGION, FaultProxy, Place, Site, dummy_credentials, emptied, moto_server

pytestmark = pytest.mark.slow

ROLE = "arn:aws:iam::222222222222:role/switcher"


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    dummy_credentials(monkeypatch)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def proxy(server: str) -> Iterator[FaultProxy]:
    with FaultProxy(emptied(server)) as proxy:
        yield proxy


@pytest.fixture
def place(proxy: FaultProxy) -> Iterator[Place]:
    with Site(proxy.url) as site:
        yield site.place()


@pytest.fixture
async def sessions() -> AsyncIterator[Sessions]:
    sessions = Sessions()
    yield sessions
    await sessions.close()


def test_importing_the_module_does_not_import_boto3() -> None:
    code = "import sys, bluegreen.aws, bluegreen.balancers.elbv2; sys.exit('boto3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0


# --- what an error means ---


def refused(code: str, status: int) -> Exception:
    response = {"Error": {"Code": code, "Message": "why"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return aws.ClientError(response, "ModifyListener")  # type: ignore[arg-type]


URL = "http://x"


@pytest.mark.parametrize(
    ("error", "read", "write"),
    [
        (refused("Throttling", 400), Throttled, Throttled),
        (refused("ThrottlingException", 400), Throttled, Throttled),
        (refused("RequestLimitExceeded", 503), Throttled, Throttled),
        (refused("AnyThing", 429), Throttled, Throttled),
        (refused("AccessDenied", 403), AccessDenied, AccessDenied),
        (refused("AccessDeniedException", 400), AccessDenied, AccessDenied),
        (refused("UnauthorizedOperation", 403), AccessDenied, AccessDenied),
        (refused("ExpiredToken", 403), AccessDenied, CredentialsEnded),
        (refused("ExpiredTokenException", 400), AccessDenied, CredentialsEnded),
        (refused("SignatureDoesNotMatch", 403), AccessDenied, AccessDenied),
        (refused("ValidationError", 400), Rejected, Rejected),
        (refused("TargetGroupNotFound", 400), Rejected, Rejected),
        (refused("TooManyActions", 400), Rejected, Rejected),
        (refused("InternalFailure", 500), Unreachable, OutcomeUnknown),
        (refused("ServiceUnavailable", 503), Unreachable, OutcomeUnknown),
        (refused("RequestTimeout", 400), Unreachable, OutcomeUnknown),
        (refused("", 502), Unreachable, OutcomeUnknown),
        (aws.ReadTimeoutError(endpoint_url=URL), Unreachable, OutcomeUnknown),
        (aws.ConnectionClosedError(endpoint_url=URL), Unreachable, OutcomeUnknown),
        (aws.HTTPClientError(error="torn"), Unreachable, OutcomeUnknown),
        (aws.EndpointConnectionError(endpoint_url=URL), Unreachable, Unreachable),
        (aws.ConnectTimeoutError(endpoint_url=URL), Unreachable, Unreachable),
        (aws.NoCredentialsError(), AccessDenied, AccessDenied),
        (aws.ProfileNotFound(profile="x"), AccessDenied, AccessDenied),
        (aws.ParamValidationError(report="weight"), Rejected, Rejected),
        (ValueError("an answer that nobody can read"), Unreachable, OutcomeUnknown),
    ],
)
def test_an_error_says_whether_something_may_have_happened(
    error: Exception, read: type[BalancerError], write: type[BalancerError]
) -> None:
    assert type(translate(error, "elbv2 X in here", write=False)) is read
    assert type(translate(error, "elbv2 X in here", write=True)) is write
    assert "elbv2 X in here" in str(translate(error, "elbv2 X in here", write=True))


def test_expired_credentials_say_what_to_do() -> None:
    assert "renew" in translate(refused("ExpiredToken", 403), "x", write=True).advice


def test_a_long_message_is_cut() -> None:
    error = aws.ClientError({"Error": {"Code": "AccessDenied", "Message": "encoded" * 1000}}, "X")
    assert len(translate(error, "x", write=False).what) < 600


# --- credentials ---


async def test_no_credentials_is_a_denial_with_advice(
    monkeypatch: pytest.MonkeyPatch, sessions: Sessions, proxy: FaultProxy
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(AccessDenied) as denial:
        await sessions.identity(Where(REGION, endpoint_url=proxy.url))
    assert "give the daemon credentials" in denial.value.advice
    assert not proxy.sent


async def test_an_unknown_profile_is_a_denial(sessions: Sessions, proxy: FaultProxy) -> None:
    with pytest.raises(AccessDenied, match="nobody"):
        await sessions.identity(Where(REGION, profile="nobody", endpoint_url=proxy.url))


async def test_a_role_is_another_identity_taken_once(sessions: Sessions, proxy: FaultProxy) -> None:
    own = await sessions.identity(Where(REGION, endpoint_url=proxy.url))
    for _ in range(2):
        assumed = await sessions.identity(Where(REGION, role=ROLE, endpoint_url=proxy.url))
        assert assumed == f"arn:aws:sts::222222222222:assumed-role/switcher/{role_session_name()}"
    assert own != assumed
    assert proxy.sent["AssumeRole"] == 1


async def test_a_role_sees_the_load_balancers_of_its_own_account(
    sessions: Sessions, proxy: FaultProxy, place: Place
) -> None:
    own, other = Where(REGION, endpoint_url=proxy.url), Where(REGION, role=ROLE, endpoint_url=proxy.url)
    mine = await sessions.call(own, "elbv2", "DescribeLoadBalancers", 5)
    theirs = await sessions.call(other, "elbv2", "DescribeLoadBalancers", 5)
    assert [len(each["LoadBalancers"]) for each in (mine, theirs)] == [1, 0]


def keys_until(moment: datetime) -> str:
    return (
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIATESTING</AccessKeyId>"
        f"<SecretAccessKey>x</SecretAccessKey><SessionToken>y</SessionToken><Expiration>{moment:%Y-%m-%dT%H:%M:%SZ}"
        "</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    )


@pytest.mark.parametrize(("lasting", "renewed"), [(timedelta(hours=1), False), (timedelta(minutes=5), True)])
async def test_a_roles_keys_are_renewed_before_they_end(
    sessions: Sessions, proxy: FaultProxy, lasting: timedelta, renewed: bool
) -> None:
    proxy.faults["AssumeRole"] = "answer"
    proxy.answers["AssumeRole"] = keys_until(datetime.now(UTC) + lasting)
    where = Where(REGION, role=ROLE, endpoint_url=proxy.url)
    await sessions.identity(where)
    once = proxy.sent["AssumeRole"]
    await sessions.identity(where)
    assert (proxy.sent["AssumeRole"] > once) is renewed


@pytest.mark.parametrize(("lasting", "lasts"), [(timedelta(hours=1), True), (timedelta(minutes=5), False)])
async def test_how_long_a_roles_keys_are_good_for_is_told(
    sessions: Sessions, proxy: FaultProxy, lasting: timedelta, lasts: bool
) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + lasting
    proxy.faults["AssumeRole"] = "answer"
    proxy.answers["AssumeRole"] = keys_until(until)
    assert await sessions.life(Where(REGION, role=ROLE, endpoint_url=proxy.url)) == Life(
        until, lasts, renews=True, temporary=True
    )


async def test_a_role_is_renewed_no_longer_than_the_keys_last_by_which_it_is(
    proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "testing")
    proxy.faults["AssumeRole"] = "answer"
    proxy.answers["AssumeRole"] = keys_until(now + timedelta(hours=1))
    untold = Sessions()
    where = Where(REGION, role=ROLE, endpoint_url=proxy.url)
    assert await untold.life(where) == Life(None, lasts=True, temporary=True)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", (now + timedelta(hours=2)).isoformat())
    told = Sessions()
    assert await told.life(where) == Life(now + timedelta(hours=2), lasts=True, temporary=True)
    await untold.close()
    await told.close()


async def test_keys_without_an_end_last_and_keys_that_cannot_be_had_are_said(
    sessions: Sessions, proxy: FaultProxy
) -> None:
    assert await sessions.life(Where(REGION)) == Life(None, lasts=True)
    proxy.faults["AssumeRole"] = "deny"
    with pytest.raises(AccessDenied):
        await sessions.life(Where(REGION, role=ROLE, endpoint_url=proxy.url))


async def test_keys_that_have_ended_are_never_used(sessions: Sessions, proxy: FaultProxy) -> None:
    proxy.faults["AssumeRole"] = "answer"
    proxy.answers["AssumeRole"] = keys_until(datetime(2000, 1, 1, tzinfo=UTC))
    with pytest.raises(BalancerError, match="expired"):
        await sessions.identity(Where(REGION, role=ROLE, endpoint_url=proxy.url))
    assert proxy.sent["GetCallerIdentity"] == 0


async def test_a_role_that_cannot_be_taken_leaves_a_write_unsent(sessions: Sessions, proxy: FaultProxy) -> None:
    proxy.faults["AssumeRole"] = "unavailable"
    where = Where(REGION, role=ROLE, endpoint_url=proxy.url)
    with pytest.raises(Unreachable):  # not OutcomeUnknown: only signing in was tried
        await sessions.call(where, "elbv2", "DeleteListener", 10, write=True, ListenerArn="arn:x")
    assert proxy.sent["DeleteListener"] == 0


def test_the_name_of_a_role_session_is_lawful() -> None:
    name = role_session_name()
    assert name.startswith("bluegreen-")
    assert 2 <= len(name) <= 64
    assert not set(name) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+=,.@-")


@pytest.mark.parametrize(
    ("url", "sts", "elbv2"),
    [
        (None, None, None),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("https://vpce-1.elasticloadbalancing.x.vpce.amazonaws.com", None, "itself"),
    ],
)
def test_a_stand_in_serves_every_service_and_an_endpoint_of_aws_its_own(
    url: str | None, sts: str | None, elbv2: str | None
) -> None:
    where = Where(REGION, endpoint_url=url)
    assert endpoint_of(where, "sts") == sts
    assert endpoint_of(where, "elbv2") == (url if elbv2 == "itself" else elbv2)


# --- time and number ---


async def test_a_write_is_sent_once_and_a_read_at_most_twice(
    sessions: Sessions, proxy: FaultProxy, place: Place
) -> None:
    proxy.faults = {"DeleteListener": "unavailable", "DescribeListeners": "unavailable"}
    where = Where(REGION, endpoint_url=proxy.url)
    with pytest.raises(OutcomeUnknown):
        await sessions.call(where, "elbv2", "DeleteListener", 10, write=True, ListenerArn=place.arn)
    with pytest.raises(Unreachable):
        await sessions.call(where, "elbv2", "DescribeListeners", 10, ListenerArns=[place.arn])
    assert proxy.sent["DeleteListener"] == 1
    assert proxy.sent["DescribeListeners"] == 2


@pytest.mark.parametrize(("write", "error"), [(True, OutcomeUnknown), (False, Unreachable)])
async def test_a_call_ends_by_its_deadline(
    sessions: Sessions, proxy: FaultProxy, place: Place, write: bool, error: type[BalancerError]
) -> None:
    proxy.faults["DeleteListener"] = "hang"
    where = Where(REGION, endpoint_url=proxy.url)
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(error):
        await sessions.call(where, "elbv2", "DeleteListener", 1.0, write=write, ListenerArn=place.arn)
    assert loop.time() - began < 30, "the proxy lets go after a minute"


async def test_a_write_that_waited_too_long_for_a_thread_is_never_sent(proxy: FaultProxy, place: Place) -> None:
    sessions = Sessions(threads=1)
    where = Where(REGION, endpoint_url=proxy.url)
    proxy.faults["DescribeListeners"] = "hang"
    async with asyncio.TaskGroup() as group:
        read = group.create_task(_failure(sessions, where, "DescribeListeners", 2.0, ListenerArns=[place.arn]))
        await asyncio.to_thread(proxy.wait_for, "DescribeListeners")
        refusal = await _failure(sessions, where, "DeleteListener", 0.2, write=True, ListenerArn=place.arn)
        assert isinstance(refusal, Unreachable)
    assert isinstance(await read, Unreachable)
    proxy.faults.clear()
    assert await sessions.call(where, "elbv2", "DescribeListeners", 5, ListenerArns=[place.arn])
    assert proxy.sent["DeleteListener"] == 0
    await sessions.close()


async def test_a_write_that_signed_in_too_late_is_never_sent(proxy: FaultProxy, place: Place) -> None:
    sessions = Sessions(threads=1)
    proxy.faults["AssumeRole"] = "hold"
    where = Where(REGION, role=ROLE, endpoint_url=proxy.url)
    refusal = await _failure(sessions, where, "DeleteListener", 0.5, write=True, ListenerArn=place.arn)
    assert isinstance(refusal, OutcomeUnknown)  # at that moment nobody can tell
    proxy.release()
    assert await sessions.identity(Where(REGION, endpoint_url=proxy.url))  # in the same thread, so after it
    assert proxy.sent["AssumeRole"] == 1
    assert proxy.sent["DeleteListener"] == 0
    await sessions.close()


async def test_reads_beyond_the_rate_wait(sessions: Sessions, proxy: FaultProxy) -> None:
    where, over = Where(REGION, endpoint_url=proxy.url), 3
    began = asyncio.get_running_loop().time()
    await _read(sessions, where, READ_BURST + over)
    assert asyncio.get_running_loop().time() - began >= over / READS_PER_SECOND * 0.9


async def test_the_rate_is_each_account_and_regions_own_and_writes_are_free(proxy: FaultProxy, place: Place) -> None:
    sessions = Sessions(reads_per_second=0.01)
    where = Where(REGION, endpoint_url=proxy.url)
    await _read(sessions, where, READ_BURST)
    refusal = await _failure(sessions, where, "DescribeLoadBalancers", 5)
    assert isinstance(refusal, Throttled)
    assert "our own limit" in refusal.what
    assert proxy.sent["DescribeLoadBalancers"] == READ_BURST
    await _read(sessions, Where("eu-west-2", endpoint_url=proxy.url), 1)
    await _read(sessions, Where(REGION, role=ROLE, endpoint_url=proxy.url), 1)
    await sessions.call(where, "elbv2", "DeleteListener", 5, write=True, ListenerArn=place.arn)
    assert proxy.sent["DeleteListener"] == 1
    await sessions.close()


async def test_closing_twice_is_fine(proxy: FaultProxy) -> None:
    sessions = Sessions()
    await sessions.identity(Where(REGION, endpoint_url=proxy.url))
    await sessions.close()
    await sessions.close()
    assert proxy.sent["GetCallerIdentity"] == 1


async def _failure(
    sessions: Sessions, where: Where, operation: str, timeout: float, write: bool = False, **parameters: object
) -> BalancerError:
    with pytest.raises(BalancerError) as failure:
        await sessions.call(where, "elbv2", operation, timeout, write=write, **parameters)
    return failure.value


async def _read(sessions: Sessions, where: Where, count: int) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(sessions.call(where, "elbv2", "DescribeLoadBalancers", 30))
