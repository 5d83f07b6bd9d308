"""Flags in AWS AppConfig: read as applications get them, set on top of what is deployed, sent once."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bluegreen.aws import Sessions
from bluegreen.config.flags import FlagSource
from bluegreen.errors import AccessDenied, OutcomeUnknown, Rejected, Throttled, Unreachable
from bluegreen.flags import Sources, open_flags
from bluegreen.ports import Flags
from tests.balancers.aws_rig import dummy_credentials
from tests.flags.appconfig import APPLICATION, ENVIRONMENT, PROFILE, AppConfigServer, flag_set

pytestmark = pytest.mark.slow

SHOP = flag_set(search={"enabled": True, "limit": 5}, cart={"enabled": False})


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    dummy_credentials(monkeypatch)


@contextlib.asynccontextmanager
async def serving(content: dict[str, Any] = SHOP, **more: Any) -> AsyncIterator[tuple[AppConfigServer, Flags]]:
    aws = Sessions(reads_per_second=1000)
    async with AppConfigServer(content).running() as server:
        at = {"application": "shop", "environment": "prod", "configuration": "flags", "region": "eu-west-1",
              "endpoint_url": server.url, **more}  # fmt: skip
        flags = open_flags(FlagSource.model_validate({"appconfig": at, "timeout": "12s"}), Sources("web", aws))
        try:
            yield server, flags
        finally:
            await flags.close()
            await aws.close()


async def test_flags_are_read_as_applications_get_them():
    async with serving() as (server, flags):
        assert await flags.read() == {"search": "on", "search.limit": "5", "cart": "off"}
        assert flags.writable
        assert flags.place == "AppConfig in eu-west-1: shop/flags for prod"
        assert server.calls == ["start_session", "latest"]
        [finding] = await flags.examine()
        assert (finding.ok, finding.summary) == (True, f"3 flags at {flags.place}, and can be set from here")


async def test_setting_a_flag_deploys_a_new_version_with_only_that_changed():
    async with serving() as (server, flags):
        await flags.write("search", "off", "on")
        assert len(server.versions) == 2
        assert server.versions[1] == flag_set(search={"enabled": False, "limit": 5}, cart={"enabled": False})
        assert server.deployments[-1]["version"] == 2
        assert (await flags.read())["search"] == "off"


async def test_ids_serve_as_well_as_names():
    async with serving(application=APPLICATION, environment=ENVIRONMENT, configuration=PROFILE) as (_, flags):
        await flags.write("cart", "on", "off")
        assert (await flags.read())["cart"] == "on"


async def test_what_somebody_prepared_and_did_not_deploy_does_not_go_out_with_it():
    async with serving() as (server, flags):
        server.versions.append(flag_set(search={"enabled": True, "limit": 99}, cart={"enabled": True}))
        server.deployments.append({"version": 2, "state": "COMPLETE", "profile": "another"})
        server.deployments.append({"version": 2, "state": "ROLLED_BACK", "profile": "another"})
        await flags.write("search", "off", "on")
        assert server.versions[2] == flag_set(search={"enabled": False, "limit": 5}, cart={"enabled": False})


async def test_a_flag_that_is_not_what_was_shown_is_not_written():
    async with serving() as (server, flags):
        with pytest.raises(Rejected, match="search shows on, not off: nothing was sent"):
            await flags.write("search", "on", "off")
        with pytest.raises(Rejected, match="there is no flag serch any more"):
            await flags.write("serch", "off", "on")
        assert not {"create_version", "start_deployment"} & set(server.calls)


async def test_a_deployment_under_way_lets_no_other_in_and_leaves_no_version_behind():
    async with serving() as (server, flags):
        await flags.write("search", "off", "on")
        with pytest.raises(Rejected, match="deployment 2 of AppConfig is baking: it lets no other one in"):
            await flags.write("cart", "on", "off")
        assert len(server.versions) == 2


async def test_variants_and_attributes_are_shown_and_set_elsewhere():
    variants = [{"name": "early", "enabled": True}]
    async with serving(flag_set(search={"_variants": variants}, cart={"enabled": True, "limit": 5})) as (_, flags):
        shown = await flags.read()
        assert shown["search"] == 'variants [{"enabled": true, "name": "early"}]'
        with pytest.raises(Rejected, match="search has variants"):
            await flags.write("search", "off", shown["search"])
        with pytest.raises(Rejected, match="cart is set to on or off here"):
            await flags.write("cart", "maybe", "on")
        with pytest.raises(Rejected, match=r"cart\.limit has no value in version 1"):
            await flags.write("cart.limit", "off", "5")


async def test_a_lost_answer_to_the_deployment_is_unknown_and_nothing_is_sent_again():
    for took_effect in (True, False):
        async with serving() as (server, flags):
            server.lose["start_deployment"] = took_effect
            with pytest.raises(OutcomeUnknown):
                await flags.write("search", "off", "on")
            assert server.calls.count("start_deployment") == 1
            assert (await flags.read())["search"] == ("off" if took_effect else "on")


async def test_a_lost_answer_to_the_new_version_is_no_doubt_about_the_flag():
    async with serving() as (server, flags):
        server.lose["create_version"] = True
        with pytest.raises(Rejected, match="nothing was deployed"):
            await flags.write("search", "off", "on")
        assert "start_deployment" not in server.calls
        assert (await flags.read())["search"] == "on"


@pytest.mark.parametrize(
    ("operation", "failure", "error", "words"),
    [
        ("start_session", (403, "AccessDeniedException"), AccessDenied, "grant the daemon's identity the right"),
        ("latest", (429, "ThrottlingException"), Throttled, "try again later"),
        ("latest", (500, "InternalServerException"), Unreachable, "InternalServerException"),
        ("applications", (403, "AccessDeniedException"), AccessDenied, "ListApplications"),
        ("start_deployment", (403, "AccessDeniedException"), AccessDenied, "version 2 was made for search and is not"),
    ],
)
async def test_what_aws_refuses_is_told_and_nothing_changed(operation, failure, error, words):
    async with serving() as (server, flags):
        server.fail[operation] = failure
        with pytest.raises(error) as refused:
            await flags.write("search", "off", "on")
        assert words in str(refused.value)
        server.fail.clear()
        assert (await flags.read())["search"] == "on"


async def test_names_that_are_not_there_are_told():
    async with serving(environment="prd") as (_, flags):
        with pytest.raises(Rejected, match="ResourceNotFoundException"):
            await flags.read()
        [finding] = await flags.examine()
        assert (finding.ok, finding.acceptable) == (False, True)


async def test_what_is_no_set_of_flags_is_refused():
    async with serving({"search": "yes"}) as (_, flags):
        with pytest.raises(Rejected, match="search is no feature flag"):
            await flags.read()
