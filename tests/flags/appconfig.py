"""AWS AppConfig on this machine: the calls that a feature flag needs, over real HTTP, with its own rules.

A hosted version is stored as it was sent; `StartDeployment` is refused while another deployment goes on; applications
get what is deployed, in the short form (`{flag: {"enabled": true, …}}`). It breaks answers on purpose.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web

APPLICATION, ENVIRONMENT, PROFILE = "app1234", "env1234", "prof123"
STRATEGIES = ("AppConfig.AllAtOnce", "slow")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def flag_set(**values: Any) -> dict[str, Any]:
    """AWS.AppConfig.FeatureFlags, version 1."""
    return {"version": "1", "flags": {name: {"name": name} for name in values}, "values": values}


class AppConfigServer:
    """`versions[n - 1]` is hosted version n; `deployments` are numbered from 1."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.versions: list[dict[str, Any]] = [content]
        self.deployments: list[dict[str, Any]] = [{"version": 1, "state": "COMPLETE", "profile": PROFILE}]
        self.calls: list[str] = []
        self.lose: dict[str, bool] = {}
        """Operation -> whether it has its effect though its answer is lost."""
        self.fail: dict[str, tuple[int, str]] = {}
        self.url = ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[AppConfigServer]:
        app = web.Application()
        for method, path, operation in ROUTES:
            app.router.add_route(method, path, self._answering(operation))
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    def _answering(self, operation: str) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            self.calls.append(operation)
            if operation in self.fail:
                status, code = self.fail[operation]
                return web.json_response(
                    {"Message": "as the test says"}, status=status, headers={"x-amzn-ErrorType": code}
                )
            lost = self.lose.pop(operation, None)
            if lost is False:
                return self._cut(request)
            made = await getattr(self, operation)(request)
            return self._cut(request) if lost else made

        return answer

    def _cut(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    # --- applications ---

    async def start_session(self, request: web.Request) -> web.Response:
        body = await request.json()
        known = {"ApplicationIdentifier": ("shop", APPLICATION), "EnvironmentIdentifier": ("prod", ENVIRONMENT),
                 "ConfigurationProfileIdentifier": ("flags", PROFILE)}  # fmt: skip
        if any(body[key] not in names for key, names in known.items()):
            return web.json_response(
                {"Message": "no such thing"}, status=404, headers={"x-amzn-ErrorType": "ResourceNotFoundException"}
            )
        return web.json_response({"InitialConfigurationToken": "token-1"}, status=201)

    async def latest(self, request: web.Request) -> web.Response:
        assert request.query["configuration_token"] == "token-1"
        version = next(one["version"] for one in reversed(self.deployments) if one["profile"] == PROFILE)
        content = self.versions[version - 1]
        if "values" not in content:
            return web.Response(body=json.dumps(content).encode(), content_type="application/json")
        served = {
            name: value if value.get("enabled") or "_variants" in value else {"enabled": False}
            for name, value in content["values"].items()
        }
        return web.Response(body=json.dumps(served).encode(), content_type="application/json")

    # --- the control plane ---

    async def applications(self, request: web.Request) -> web.Response:
        if "next_token" not in request.query:
            return web.json_response({"Items": [{"Id": "app9999", "Name": "other"}], "NextToken": "2"})
        return web.json_response({"Items": [{"Id": APPLICATION, "Name": "shop"}]})

    async def environments(self, request: web.Request) -> web.Response:
        return web.json_response({"Items": [{"Id": ENVIRONMENT, "Name": "prod"}, {"Id": "env9999", "Name": "test"}]})

    async def profiles(self, request: web.Request) -> web.Response:
        return web.json_response({"Items": [{"Id": PROFILE, "Name": "flags"}]})

    async def list_deployments(self, request: web.Request) -> web.Response:
        items = [
            {"DeploymentNumber": number, "ConfigurationVersion": str(one["version"]), "State": one["state"]}
            for number, one in enumerate(self.deployments, 1)
        ]
        return web.json_response({"Items": items[::-1]})

    async def get_deployment(self, request: web.Request) -> web.Response:
        one = self.deployments[int(request.match_info["number"]) - 1]
        return web.json_response(
            {
                "ConfigurationProfileId": one["profile"],
                "ConfigurationVersion": str(one["version"]),
                "State": one["state"],
            }
        )

    async def list_versions(self, request: web.Request) -> web.Response:
        return web.json_response({"Items": [{"VersionNumber": number + 1} for number in range(len(self.versions))]})

    async def get_version(self, request: web.Request) -> web.Response:
        content = self.versions[int(request.match_info["version"]) - 1]
        return web.Response(body=json.dumps(content).encode(), content_type="application/json")

    async def create_version(self, request: web.Request) -> web.Response:
        assert request.headers["Latest-Version-Number"] == str(len(self.versions))
        content = json.loads(await request.read())
        assert set(content) == {"version", "flags", "values"}
        self.versions.append(content)
        return web.Response(body=b"{}", status=201, headers={"Version-Number": str(len(self.versions))})

    async def start_deployment(self, request: web.Request) -> web.Response:
        body = await request.json()
        assert body["DeploymentStrategyId"] in STRATEGIES
        if any(one["state"] == "BAKING" for one in self.deployments):
            return web.json_response(
                {"Message": "Deployment in progress"}, status=409, headers={"x-amzn-ErrorType": "ConflictException"}
            )
        version, profile = int(body["ConfigurationVersion"]), body["ConfigurationProfileId"]
        self.deployments.append({"version": version, "state": "BAKING", "profile": profile})
        return web.json_response({"DeploymentNumber": len(self.deployments), "State": "DEPLOYING"}, status=201)


_PROFILE = "/applications/{app}/configurationprofiles/{profile}/hostedconfigurationversions"
_ENVIRONMENT = "/applications/{app}/environments/{environment}/deployments"
ROUTES = (
    ("POST", "/configurationsessions", "start_session"),
    ("GET", "/configuration", "latest"),
    ("GET", "/applications", "applications"),
    ("GET", "/applications/{app}/environments", "environments"),
    ("GET", "/applications/{app}/configurationprofiles", "profiles"),
    ("GET", _ENVIRONMENT, "list_deployments"),
    ("GET", _ENVIRONMENT + "/{number}", "get_deployment"),
    ("POST", _ENVIRONMENT, "start_deployment"),
    ("GET", _PROFILE, "list_versions"),
    ("GET", _PROFILE + "/{version}", "get_version"),
    ("POST", _PROFILE, "create_version"),
)
