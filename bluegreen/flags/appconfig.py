"""Flags in AWS AppConfig: read as applications get them (appconfigdata), set by a new hosted version that is deployed.

A new version is made of the one that is deployed, with one `enabled` changed: what somebody has prepared and not yet
deployed does not go out with it. Every call goes through `aws.Sessions`; a write is sent once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bluegreen.config.flags import AppConfig, FlagSource
from bluegreen.errors import AccessDenied, BalancerError, CredentialsEnded, OutcomeUnknown, Rejected
from bluegreen.flags.values import OFF, ON, text
from bluegreen.model import Finding

if TYPE_CHECKING:
    from bluegreen.aws import Sessions, Where

PAGES_MAX = 20
"""Pages of 50 that a name, the newest version or the present deployment is looked for in."""
VARIANTS = "_variants"
_UNDER_WAY = ("DEPLOYING", "BAKING", "VALIDATING", "ROLLING_BACK")
_JSON = "application/json"


class AppConfigFlags:
    """ports.Flags. A flag is on or off; its attributes are there as `flag.attribute`, and are only read."""

    writable = True
    settle = 60.0
    """A deployment that was started takes effect in seconds; its answer may be lost before that."""

    def __init__(self, config: FlagSource, aws: Sessions) -> None:
        if config.appconfig is None:
            raise AssertionError("the configuration has the kind")
        self._at: AppConfig = config.appconfig
        self._aws, self._timeout, self.every = aws, config.timeout, config.every
        at = self._at
        self.place = f"AppConfig in {at.region}: {at.application}/{at.configuration} for {at.environment}"

    async def read(self) -> Mapping[str, str]:
        """See ports.Flags."""
        session = await self._call(
            "appconfigdata", "StartConfigurationSession",
            ApplicationIdentifier=self._at.application, EnvironmentIdentifier=self._at.environment,
            ConfigurationProfileIdentifier=self._at.configuration,
        )  # fmt: skip
        token = session["InitialConfigurationToken"]
        answer = await self._call("appconfigdata", "GetLatestConfiguration", ConfigurationToken=token)
        served = _json(_bytes(answer.get("Configuration")) or b"{}", "what AppConfig serves")
        flags: dict[str, str] = {}
        for name, flag in served.items():
            flags.update(_texts(name, flag))
        return flags

    async def write(self, name: str, value: str, expected: str) -> None:
        """See ports.Flags."""
        if value not in (ON, OFF):
            raise Rejected(f"{name} is set to on or off here", f"set anything else at {self.place}")
        ids = await self._ids()
        deployed = await self._deployed(ids)
        content = await self._changed(ids, deployed, name, enabled=value == ON)
        version = await self._create(ids, content, f"{name} {value}, by bluegreen")
        await self._deploy(ids, version, name)

    async def examine(self) -> tuple[Finding, ...]:
        """See ports.Flags; what surrounds a provider tells it."""
        return ()

    async def close(self) -> None:
        """See ports.Flags. The sessions are the daemon's."""

    # --- the way of a write ---

    async def _ids(self) -> dict[str, str]:
        """The control plane goes by ids; people write names."""
        application = await self._id("ListApplications", self._at.application, "application", {})
        within = {"ApplicationId": application}
        return {
            "ApplicationId": application,
            "EnvironmentId": await self._id("ListEnvironments", self._at.environment, "environment", within),
            "ConfigurationProfileId": await self._id(
                "ListConfigurationProfiles", self._at.configuration, "configuration profile", within
            ),
        }

    async def _id(self, operation: str, wanted: str, what: str, within: Mapping[str, str]) -> str:
        found = [
            str(item["Id"])
            for item in await self._items(operation, **within)
            if wanted in (item.get("Id"), item.get("Name"))
        ]
        if len(found) != 1:
            raise Rejected(f"AppConfig has {len(found)} {what}s named {wanted}", "name it by its id")
        return found[0]

    async def _deployed(self, ids: Mapping[str, str]) -> int:
        """The version that the environment has now. Raises Rejected while a deployment is under way."""
        environment = {key: ids[key] for key in ("ApplicationId", "EnvironmentId")}
        for item in await self._items("ListDeployments", **environment):  # in descending order of their numbers
            if item["State"] in _UNDER_WAY:
                what = f"deployment {item['DeploymentNumber']} of AppConfig is {item['State'].lower()}"
                raise Rejected(f"{what}: it lets no other one in", "wait for its end, or stop it at AppConfig")
            if item["State"] != "COMPLETE":
                continue
            number = item["DeploymentNumber"]
            if "ConfigurationProfileId" not in item:
                item = await self._call("appconfig", "GetDeployment", **environment, DeploymentNumber=number)
            if item.get("ConfigurationProfileId") == ids["ConfigurationProfileId"]:
                return int(item["ConfigurationVersion"])
        raise Rejected(f"nothing of {self._at.configuration} is deployed to {self._at.environment}")

    async def _changed(self, ids: Mapping[str, str], version: int, name: str, *, enabled: bool) -> bytes:
        """The deployed content with this flag's `enabled` as wanted."""
        answer = await self._call("appconfig", "GetHostedConfigurationVersion", **_profile(ids), VersionNumber=version)
        content = _json(_bytes(answer.get("Content")), f"version {version}")
        flag = content.get("values", {}).get(name)
        if not isinstance(flag, dict):
            raise Rejected(f"{name} has no value in version {version}", f"set it at {self.place}")
        if VARIANTS in flag:
            raise Rejected(f"{name} has variants: it is not simply on or off", f"set it at {self.place}")
        flag["enabled"] = enabled
        return json.dumps(content, ensure_ascii=False).encode()

    async def _create(self, ids: Mapping[str, str], content: bytes, description: str) -> int:
        """A new version. As long as nobody deploys it, it changes nothing: a lost answer is no doubt about the flag."""
        versions = await self._items("ListHostedConfigurationVersions", **_profile(ids))
        newest = max(int(item["VersionNumber"]) for item in versions) if versions else 0
        try:
            answer = await self._call(
                "appconfig", "CreateHostedConfigurationVersion", write=True, **_profile(ids), Content=content,
                ContentType=_JSON, Description=description.encode("ascii", "replace").decode()[:1024],
                LatestVersionNumber=newest,
            )  # fmt: skip
        except CredentialsEnded as ended:
            raise AccessDenied(f"{ended.what}; nothing was deployed", ended.advice) from ended
        except OutcomeUnknown as lost:
            raise Rejected(f"{lost.what}; nothing was deployed", "a version may be left over at AppConfig") from lost
        return int(answer["VersionNumber"])

    async def _deploy(self, ids: Mapping[str, str], version: int, name: str) -> None:
        try:
            await self._call(
                "appconfig", "StartDeployment", write=True, **ids, DeploymentStrategyId=self._at.strategy,
                ConfigurationVersion=str(version), Description=f"version {version}, by bluegreen",
            )  # fmt: skip
        except OutcomeUnknown:
            raise
        except BalancerError as refusal:
            what = f"version {version} was made for {name} and is not deployed: {refusal.what}"
            raise type(refusal)(what, refusal.advice) from refusal

    # --- calls ---

    async def _items(self, operation: str, **parameters: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        more: dict[str, Any] = {}
        for _ in range(PAGES_MAX):
            answer = await self._call("appconfig", operation, **parameters, **more, MaxResults=50)
            items += answer.get("Items", [])
            if not answer.get("NextToken"):
                return items
            more = {"NextToken": answer["NextToken"]}
        raise Rejected(f"{operation} goes on for more than {PAGES_MAX} pages")

    async def _call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """`write=True` is for `Sessions.call`."""
        return await self._aws.call(self._where(), service, operation, self._timeout, **parameters)

    def _where(self) -> Where:
        from bluegreen.aws import Where

        return Where(self._at.region, self._at.role, self._at.profile, self._at.endpoint_url)


def _profile(ids: Mapping[str, str]) -> dict[str, str]:
    return {key: ids[key] for key in ("ApplicationId", "ConfigurationProfileId")}


def _texts(name: str, flag: Any) -> dict[str, str]:
    """One flag as applications get it: `enabled`, its attributes while it is on, or its variants."""
    if not isinstance(flag, dict):
        raise Rejected(f"{name} is no feature flag", "wanted a profile of type AWS.AppConfig.FeatureFlags")
    if VARIANTS in flag:
        return {name: f"variants {text(flag[VARIANTS])}"}
    attributes = {f"{name}.{key}": text(value) for key, value in flag.items() if key != "enabled"}
    return {name: text(bool(flag.get("enabled"))), **attributes}


def _bytes(body: Any) -> bytes:
    """A blob of an answer: botocore gives a stream."""
    return bytes(body.read()) if hasattr(body, "read") else bytes(body or b"")


def _json(raw: bytes, what: str) -> dict[str, Any]:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Rejected(f"{what} is not a JSON object", "wanted a profile of type AWS.AppConfig.FeatureFlags")
    return document
