"""AWS calls off the event loop: sessions, clients, deadlines, and one translation of every error.

boto3 blocks, so each call runs in a thread of a bounded pool. A write is sent once: botocore would silently repeat it
after a read timeout. Cancelling a waiting task does not stop its thread: a write that was already sent still lands, so
whoever cancels one must take its outcome for unknown. A write that was not sent by its deadline is never sent.

boto3 is imported in a worker thread at the first call: importing this module is cheap.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bluegreen.clock import SystemClock
from bluegreen.errors import (
    AccessDenied,
    BalancerError,
    CredentialsEnded,
    OutcomeUnknown,
    Rejected,
    Throttled,
    Unreachable,
)

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config

THREADS = 8
READ_ATTEMPTS = 2
READS_PER_SECOND = 5.0
"""Half of what ELBv2 refills to a whole account and region: others read there too."""
READ_BURST = 10
HALF_A_SECOND = 0.5
"""A Date is cut to the whole second: on average it is this old when it is written."""
LIFE_SECONDS = 600.0
"""Credentials that are nearer to their end than this were not renewed: botocore does so from 15 minutes before on."""
_MESSAGE_MAX = 500
_SET_ONCE = ("env",)
"""Where botocore has credentials with an end from (its `method`), and nobody puts new ones while the process lives."""

# the beginnings of error codes: services spell them with and without "Exception"
_THROTTLED = ("Throttl", "RequestThrottled", "RequestLimitExceeded", "TooManyRequests", "SlowDown", "BandwidthLimit")
_DENIED = ("AccessDenied", "Unauthorized", "NotAuthorized", "OptInRequired")
_EXPIRED = ("ExpiredToken", "TokenRefreshRequired")
_UNSIGNED = ("InvalidClientTokenId", "UnrecognizedClient", "InvalidAccessKeyId", "AuthFailure", "MissingAuthentication")
_SIGNED_WRONG = ("SignatureDoesNotMatch", "IncompleteSignature", "RequestExpired", "RequestTimeTooSkewed")
_TRANSIENT = ("RequestTimeout", "PriorRequestNotComplete")


@dataclass(frozen=True, slots=True)
class Where:
    """In which account (by role and profile) and region to call, and at which endpoint.

    An `endpoint_url` outside of AWS's own names is a stand-in that serves every service: nothing leaves it for AWS.
    """

    region: str
    role: str | None = None
    profile: str | None = None
    endpoint_url: str | None = None


@dataclass(frozen=True, slots=True)
class Life:
    """Until when the credentials are good, None where that is not told; `lasts` is False where it is nearly over and
    nothing renews them. `renews`: they are renewed by themselves; `temporary`: they have an end, told or not."""

    until: datetime | None
    lasts: bool
    renews: bool = False
    temporary: bool = False


class Sessions:
    """boto3 sessions and clients, made once and kept. One of these serves the whole daemon."""

    def __init__(
        self,
        threads: int = THREADS,
        reads_per_second: float = READS_PER_SECOND,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._threads = threads
        self._rate, self.now = reads_per_second, now or SystemClock().now
        self._ahead: dict[Where, float] = {}
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="aws")
        self._making = threading.Lock()  # making sessions and clients is not thread-safe; using clients is
        self._sessions: dict[Where, boto3.Session] = {}
        self._sources: dict[Where, boto3.Session] = {}
        self._clients: dict[tuple[Where, str, float, bool], Any] = {}
        self._buckets: dict[tuple[str, str, str], _Bucket] = {}

    async def call(
        self, where: Where, service: str, operation: str, timeout: float, *, write: bool = False, **parameters: Any
    ) -> dict[str, Any]:
        """Call `operation` (`ModifyListener`) of `service` (`elbv2`), within `timeout` seconds, waiting included.

        Reads keep to a rate for each account, region and service, and may be tried a second time. Raises Throttled,
        AccessDenied, Rejected and Unreachable (all: surely no effect), and for a write whose answer was lost, or says
        that the credentials have expired, OutcomeUnknown.
        """
        what = f"{service} {operation} in {where.region}"
        deadline = time.monotonic() + timeout
        if not write:
            await self._pace(where, service, deadline, what)
        call = _Call(where, service, operation, timeout, write, deadline, what)
        job = self._pool.submit(self._run, call, parameters)
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                return await asyncio.wrap_future(job)
        except TimeoutError:
            if job.cancel() or not write:  # cancelled here means: it never started
                raise Unreachable(f"{what}: no answer within {timeout:g} s") from None
            raise OutcomeUnknown(f"{what}: sent, and no answer within {timeout:g} s") from None

    async def identity(self, where: Where, timeout: float = 5.0) -> str:
        """The ARN that AWS knows the caller by. Raises as a read does."""
        answer = await self.call(where, "sts", "GetCallerIdentity", timeout)
        return str(answer["Arn"])

    def expires(self, where: Where) -> str | None:
        """When the credentials in use there end, RFC 3339; None where they do not say (or were never used yet).

        Those that renew themselves say when the present ones end. From botocore's RefreshableCredentials, which has
        no public name for it.
        """
        session = self._sessions.get(self._key(where))
        ends = getattr(session.get_credentials() if session else None, "_expiry_time", None)
        return ends.isoformat() if ends else None

    def ahead(self, where: Where) -> float | None:
        """By how many seconds this host's clock is ahead of AWS's (below zero: behind), by the Date of the last answer
        from there, which tells whole seconds; None before the first."""
        return self._ahead.get(where)

    async def life(self, where: Where, timeout: float = 5.0) -> Life:
        """How long the credentials are good for. Raises AccessDenied and Unreachable."""
        job = self._pool.submit(self._life, where)
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.wrap_future(job)
        except TimeoutError:
            raise Unreachable(f"the credentials for {where.region}: no answer within {timeout:g} s") from None

    async def close(self) -> None:
        """Drop what waits, close every connection. Idempotent. A call in progress ends by its own time-out."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        while self._clients:
            self._clients.popitem()[1].close()
        self._sessions.clear()
        self._sources.clear()

    # --- pacing, on the loop ---

    async def _pace(self, where: Where, service: str, deadline: float, what: str) -> None:
        account = where.role.split(":")[4] if where.role and where.role.count(":") >= 5 else where.profile or ""
        bucket = self._buckets.setdefault((account, where.region, service), _Bucket(self._rate))
        now = time.monotonic()
        wait = bucket.wait(now)
        if now + wait > deadline:
            raise Throttled(f"{what}: our own limit of {self._rate:g} reads a second leaves no room")
        bucket.take(now)
        if wait:
            await asyncio.sleep(wait)

    # --- in a worker thread ---

    def _run(self, call: _Call, parameters: dict[str, Any]) -> dict[str, Any]:
        try:
            method = self._ready(call)
        except Exception as error:
            raise translate(error, call.what, write=False) from error  # nothing was sent yet
        if call.write and time.monotonic() >= call.deadline:
            raise Unreachable(f"{call.what}: not sent, signing in took too long")
        try:
            answer: dict[str, Any] = method(**parameters)
        except Exception as error:
            self._compare(call.where, getattr(error, "response", None) or {})
            raise translate(error, call.what, write=call.write) from error
        self._compare(call.where, answer)
        return answer

    def _compare(self, where: Where, answer: Mapping[str, Any]) -> None:
        """This host's clock with the one that answered."""
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        with contextlib.suppress(TypeError, ValueError):  # no Date, or one that nobody can read: it proves nothing
            there = parsedate_to_datetime(date)
            self._ahead[where] = (self.now() - there).total_seconds() - HALF_A_SECOND

    def _ready(self, call: _Call) -> Any:
        """The bound method, with fresh credentials: a refresh must not fail in the middle of a write."""
        from botocore import xform_name

        session, client = self._client(call)
        _fresh(session)
        return getattr(client, xform_name(call.operation))

    def _life(self, where: Where) -> Life:
        from botocore.credentials import RefreshableCredentials

        try:
            with self._making:
                session = self._session(where)
                source = self._sources.get(self._key(where))
            credentials = _fresh(session)
            first = _fresh(source) if source is not None else None
        except Exception as error:
            raise translate(error, f"the credentials for {where.region}", write=False) from error
        if first is not None and first.token and getattr(first, "method", "") in _SET_ONCE:
            credentials = first  # a role is renewed by them: it lasts no longer than they do
        if not isinstance(credentials, RefreshableCredentials):
            return Life(None, lasts=True, temporary=bool(credentials.token))
        until: datetime | None = getattr(credentials, "_expiry_time", None)
        lasts = not credentials.refresh_needed(refresh_in=int(LIFE_SECONDS))
        return Life(until, lasts, renews=credentials.method not in _SET_ONCE, temporary=True)

    def _client(self, call: _Call) -> tuple[boto3.Session, Any]:
        where = replace(call.where, endpoint_url=endpoint_of(call.where, call.service))
        key = (where, call.service, call.timeout, call.write)
        with self._making:
            session = self._session(call.where)
            if key not in self._clients:
                make: Any = session.client  # the stubs know literal names only
                config = self._config(call.timeout, call.write)
                self._clients[key] = make(call.service, endpoint_url=where.endpoint_url, config=config)
            return session, self._clients[key]

    def _session(self, where: Where) -> boto3.Session:
        import boto3

        key = self._key(where)
        if key not in self._sessions:
            session = boto3.Session(profile_name=where.profile, region_name=where.region)
            if where.role is not None:
                config = self._config(5.0, write=False)
                sts = session.client("sts", endpoint_url=key.endpoint_url, config=config)
                self._clients[(key, "sts of the source", 5.0, False)] = sts
                self._sources[key] = session
                session = _assuming(where.role, sts, where.region)
            self._sessions[key] = session
        return self._sessions[key]

    def _key(self, where: Where) -> Where:
        return replace(where, endpoint_url=endpoint_of(where, "sts") if where.role else None)

    def _config(self, timeout: float, write: bool) -> Config:
        from botocore.config import Config

        attempts = 1 if write else READ_ATTEMPTS
        share = timeout / attempts
        return Config(
            connect_timeout=share / 3,
            read_timeout=share * 2 / 3,
            retries={"total_max_attempts": attempts, "mode": "standard"},
            max_pool_connections=self._threads,
            user_agent_extra="bluegreen",
        )


def translate(error: Exception, what: str, *, write: bool) -> BalancerError:
    """What a failed call means to its caller. `write` says that the call may have been sent and had an effect."""
    from botocore import exceptions as aws

    response = getattr(error, "response", None) or {}
    code = str(response.get("Error", {}).get("Code", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    said = f"{what}: {_said(error, response)}"
    if code.startswith(_THROTTLED) or status == 429:
        return Throttled(said, "AWS limits the rate of calls of the whole account: try again later")
    if code.startswith(_EXPIRED):
        kind = CredentialsEnded if write else AccessDenied  # they may have ended while the write was under way
        return kind(said, "the credentials have expired: renew them where the daemon gets them from")
    if code.startswith(_UNSIGNED + _SIGNED_WRONG):
        return AccessDenied(said, "check the daemon's credentials, and this host's clock")
    if code.startswith(_DENIED) or status in (401, 403):
        return AccessDenied(said, "grant the daemon's identity the right to make this call")
    if isinstance(error, _credential_errors()):
        return AccessDenied(said, "give the daemon credentials: an instance role, a profile, or AWS_* variables")
    if isinstance(error, aws.EndpointConnectionError | aws.ConnectTimeoutError | aws.ProxyConnectionError):
        return Unreachable(said, "check the network, DNS and `endpoint_url`")
    if isinstance(error, aws.ParamValidationError | aws.NoRegionError | aws.InvalidRegionError):
        return Rejected(said)
    if code and status < 500 and not code.startswith(_TRANSIENT):
        return Rejected(said)
    if write:
        return OutcomeUnknown(said, "the call may or may not have been carried out: look at the balancer")
    return Unreachable(said)


def endpoint_of(where: Where, service: str) -> str | None:
    """`endpoint_url` names one service's endpoint; the others share it only where it is not AWS's own."""
    if where.endpoint_url is None or service not in ("sts", "iam", "cloudtrail"):
        return where.endpoint_url
    host = urlsplit(where.endpoint_url).hostname or ""
    return None if host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws")) else where.endpoint_url


def role_session_name() -> str:
    """What CloudTrail shows beside the role: the program and its host, within AWS's 2 to 64 characters."""
    return re.sub(r"[^\w+=,.@-]", "-", f"bluegreen-{socket.gethostname()}", flags=re.ASCII)[:64]


@dataclass(frozen=True, slots=True)
class _Call:
    where: Where
    service: str
    operation: str
    timeout: float
    write: bool
    deadline: float
    what: str


class _Bucket:
    """A token bucket, kept as the moment at which it will be full again."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._full_at = 0.0

    def wait(self, now: float) -> float:
        """Seconds until a token is free."""
        return max(0.0, self._full_at + (1 - READ_BURST) / self._rate - now)

    def take(self, now: float) -> None:
        """Take a token, be it one of the future."""
        self._full_at = max(self._full_at, now) + 1 / self._rate


def _fresh(session: boto3.Session) -> Any:
    """The session's credentials, renewed where that is due."""
    from botocore.exceptions import NoCredentialsError

    credentials = session.get_credentials()
    if credentials is None:
        raise NoCredentialsError()
    credentials.get_frozen_credentials()
    return credentials


def _credential_errors() -> tuple[type[Exception], ...]:
    from botocore import exceptions as aws

    return (
        aws.NoCredentialsError,
        aws.PartialCredentialsError,
        aws.CredentialRetrievalError,
        aws.ProfileNotFound,
        aws.SSOError,
        aws.TokenRetrievalError,
        aws.MetadataRetrievalError,
    )


def _said(error: Exception, response: dict[str, Any]) -> str:
    details = response.get("Error", {})
    text = f"{details['Code']}: {details.get('Message', '')}" if details.get("Code") else str(error)
    return text[:_MESSAGE_MAX] or type(error).__name__


def _assuming(role: str, sts: Any, region: str) -> boto3.Session:
    """A session as `role`; its keys are fetched at first use and renewed before they expire."""
    import boto3
    import botocore.session
    from botocore.credentials import CredentialProvider, CredentialResolver, DeferredRefreshableCredentials

    def keys() -> dict[str, str]:
        made = sts.assume_role(RoleArn=role, RoleSessionName=role_session_name())["Credentials"]
        return {
            "access_key": made["AccessKeyId"],
            "secret_key": made["SecretAccessKey"],
            "token": made["SessionToken"],
            "expiry_time": made["Expiration"].isoformat(),
        }

    class Assumed(CredentialProvider):
        METHOD = "assume-role"

        def load(self) -> DeferredRefreshableCredentials:
            return DeferredRefreshableCredentials(refresh_using=keys, method=self.METHOD)

    core = botocore.session.get_session()
    core.register_component("credential_provider", CredentialResolver([Assumed()]))
    return boto3.Session(botocore_session=core, region_name=region)
